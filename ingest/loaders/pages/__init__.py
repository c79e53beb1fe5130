"""PDF and pictures: from positions on a page to blocks in reading order.

pdf, image            the loaders
page_reader           a page of a PDF, from its text layer or by OCR (scan, garbled)
layout                words and lines (words), columns, tables (tables, grids)
blocks                lines to headings, paragraphs and list items
headers_footers       lines that repeat on the pages
"""
