"""The pictures of a study as plain plotly JSON: what is drawn where. Needs no plot library to be made or tested."""
