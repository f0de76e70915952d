"""The operator's command line: one typer sub-app for each thing that staff does. ``manage.py`` joins them."""
