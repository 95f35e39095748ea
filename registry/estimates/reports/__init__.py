"""The report of a run or a project: one set of facts, written as HTML and as PDF, in Chinese and English.

facts.py loading.py reading.py           what is told, and where it is taken from: tables and run records
document.py blocks.py words.py           the facts as blocks in one language
land.py measurement.py chain.py method.py outcome.py sheet.py map.py pictures.py drawing.py    its parts
html.py pdf.py sources.py                the blocks placed, and what decides the bytes of a file
routes.py                                over HTTP
"""
