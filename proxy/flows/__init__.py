"""What we do: the asynchronous pipelines, written against the ports alone."""
