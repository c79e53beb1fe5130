"""Word processors, slides and sheets.

docx, slides, sheets, separated, legacy   the loaders
shared, ooxml   what kind of file it is, its parts within bounds, decryption
word_body, word_styles, chinese_numbers   what unstructured does not see in a DOCX
regions, cell_format   cells to tables
"""
