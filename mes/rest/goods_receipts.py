"""Goods receipts over REST."""

from typing import Annotated

import uuid_utils
from fastapi import Body as BodyOf
from fastapi import Header, Request, Response
from pydantic import model_validator

from mes.commands.goods_receipts import Receipt, receive
from mes.db.inbox import DUPLICATE
from mes.rest.answers import FactAnswer, fact_answer
from mes.rest.door import database_of, now, router
from mes.rest.values import Body, Label, Moment, Name, Quantity, Serial, ShortText

goods_receipts = router("/goods-receipts", "materials")


class ReceiptBody(Body):
    """A bought unit (`serial`) or a quantity of a lot (`lot`). `id` makes a repetition harmless."""

    part: Name
    serial: Serial | None = None
    lot: Name | None = None
    quantity: Quantity | None = None
    maker: ShortText | None = None
    date_code: ShortText | None = None
    at: Moment | None = None
    id: Label | None = None

    @model_validator(mode="after")
    def _serial_or_lot(self) -> "ReceiptBody":
        if (self.serial is None) == (self.lot is None):
            raise ValueError("name either a serial or a lot")
        return self


_EXAMPLE = {"part": "PSU-33", "lot": "L-2611", "quantity": 48, "maker": "Volta", "at": "2026-11-22T10:00:00Z"}
ReceiptIn = Annotated[ReceiptBody, BodyOf(openapi_examples={"lot": {"value": _EXAMPLE}})]
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, description="Used where `id` is absent.")
]


@goods_receipts.post("", status_code=201, responses={200: {"description": "It was reported before."}})
async def post(
    request: Request, response: Response, body: ReceiptIn, idempotency_key: IdempotencyKey = None
) -> FactAnswer:
    """Record that a bought unit or lot arrived."""
    receipt_id = body.id or idempotency_key or str(uuid_utils.uuid7())
    receipt = Receipt(**{**body.model_dump(), "id": receipt_id})
    settled = await receive(database_of(request), receipt, now())
    response.status_code = 200 if settled.fate == DUPLICATE else 201
    return fact_answer(settled)
