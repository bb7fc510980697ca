"""The checks of `countersign doctor`: each independent, none changes anything unless asked to write."""
