"""Save a figure, a table, a number where the report finds it; build the PDF.

figures, tables, numbers, claims: what a notebook writes; generated: where. pdf: the report; latex: text in it. index:
all figures; runs_table: all runs. plots, diagrams: what is drawn more than once.
"""

from .claims import save_claims
from .figures import save_figure
from .numbers import save_numbers
from .pdf import build_pdf
from .tables import save_comparison, save_table

__all__ = ["build_pdf", "save_claims", "save_comparison", "save_figure", "save_numbers", "save_table"]
