"""What in the documents supports each sentence of an answer."""
