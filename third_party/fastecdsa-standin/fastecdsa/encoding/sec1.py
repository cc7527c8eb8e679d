"""SEC1 point encoding: none."""

from __future__ import annotations

from typing import NoReturn

from fastecdsa import refuse


class SEC1Encoder:
    @staticmethod
    def encode_public_key(*args: object, **kwargs: object) -> NoReturn:
        refuse("fastecdsa.encoding.sec1.SEC1Encoder.encode_public_key")

    @staticmethod
    def decode_public_key(*args: object, **kwargs: object) -> NoReturn:
        refuse("fastecdsa.encoding.sec1.SEC1Encoder.decode_public_key")
