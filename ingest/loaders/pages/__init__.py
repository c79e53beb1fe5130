"""PDF and pictures: what stands where on a page, as blocks in reading order.

pdf, image   the loaders
reading      one page of a PDF, from its text layer or by OCR (scan, garbled)
layout       words and lines (text), columns, tables (tables, grids)
blocks       lines to headings, paragraphs, list items;  running: headers and footers
"""
