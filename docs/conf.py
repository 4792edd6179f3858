"""How Sphinx builds the pages: `make docs`. Nothing in them is loaded from another machine."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

# The API reference imports Airflow, which reads its home once and makes it.
os.environ["AIRFLOW_HOME"] = str(REPOSITORY / ".airflow-docs")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

from airflow_aitronos import __version__  # noqa: E402  # see above

project = "airflow-provider-aitronos"
author = "the contributors of airflow-provider-aitronos"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"Aitronos provider for Airflow {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = ["pages.js"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
