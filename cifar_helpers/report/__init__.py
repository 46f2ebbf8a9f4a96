"""Save a figure, a table, a number where the report finds it; build the PDF.

figures, tables, numbers, checks, claims: what a notebook writes; show: saves and displays; generated: where
to. pdf: the report; latex: text in it. index: all figures; runs_table: all runs. plots, diagrams: what is drawn more
than once.
"""

from .checks import Checks as checks
from .claims import show_claims
from .figures import save_figure
from .numbers import save_numbers
from .pdf import build_pdf
from .show import show
from .tables import comparison, network_column, save_table
