"""The checker that compares every call with its annotation; whole numbers pass as floats."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
