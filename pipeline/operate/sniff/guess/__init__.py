"""What the fields of home-made records are, and the entries of a shape file that says so."""
