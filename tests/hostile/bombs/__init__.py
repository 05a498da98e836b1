"""The dearest things that one record can ask for: every entry of the language over values that fill a record.

`make bombs` measures them all, each in CPU time of one core.
"""
