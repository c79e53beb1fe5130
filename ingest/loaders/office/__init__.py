"""Word processors, slides and sheets.

docx, slides, sheets, separated, legacy   the loaders
file_kind, decryption, ooxml   what a file is, its password, its parts within bounds
word_body, word_blocks, word_styles, word_numbering, chinese_numbers   what Word shows of a DOCX
drawings, regions, cell_format   shapes and charts to text, cells to tables, numbers as they are shown
"""
