"""The records of a shop, as typical messages."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS = (logging.INFO, logging.INFO, logging.WARNING, logging.ERROR)
_LINES = (
    "Order %d was placed",
    "Payment of order %d was accepted in 83 ms",
    "Payment of order %d took 2,400 ms",
    "Order %d could not be shipped: out of stock",
)


def short_error(logger: logging.Logger) -> None:
    """One line."""
    logger.error("Order 4711 could not be shipped: out of stock in warehouse 7")


def warning(logger: logging.Logger) -> None:
    """Values beside the message, secrets masked."""
    logger.warning(
        "The payment gateway answered slowly: 2.4 s",
        extra={"attempt": 3, "gateway": "https://shop:hunter2@pay.example.com/charge?token=f00d", "customer": "C-1138"},
    )


def chained(logger: logging.Logger) -> None:
    """An exception that another one caused."""
    try:
        _update_prices('{"price": 3.5')
    except RuntimeError:
        logger.exception("The price update failed", extra={"supplier": "Acme"})


def huge(logger: logging.Logger) -> None:
    """An endless recursion: the card shows repeated frames once, and the file shows all frames."""
    try:
        _visit({})
    except RecursionError:
        logger.exception("The category tree cannot be read")


def fields(logger: logging.Logger) -> None:
    """Structures, laid out."""
    logger.error(
        "The order was refused",
        extra={
            "order_id": 4711,
            "total": "€ 83.50",
            "retry": False,
            "items": [{"sku": "LAMP-7", "quantity": 2}, {"sku": "TABLE-1", "quantity": 1}],
            "headers": {"Accept": "application/json", "Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"},
        },
    )


def mention(logger: logging.Logger) -> None:
    """A role is notified."""
    logger.critical("The database does not answer")


def forum(logger: logging.Logger) -> None:
    """A separate post in a forum."""
    logger.error("The nightly import stopped after 3,112 of 9,000 products", extra={"file": "products.csv"})


def lines(logger: logging.Logger) -> None:
    """More records than cards can show in time: each becomes a line."""
    for number in range(18):
        logger.log(_LEVELS[number % 3], _LINES[number % 3], 4700 + number // 3)
    logger.error("Order 4711 could not be shipped: out of stock")


def digest(logger: logging.Logger) -> None:
    """More records than lines can show in time: a summary, with all records in a file."""
    for number in range(1_000):
        logger.log(_LEVELS[number % 4], _LINES[number % 4], 4700 + number // 4)
    chained(logger)


def repeat(logger: logging.Logger) -> None:
    """Equal records are counted."""
    for _ in range(128):
        logger.error("The cache server refuses connections: 10.0.0.12:6379")


def _update_prices(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise RuntimeError("The price list of Acme cannot be read") from error


def _visit(category: Mapping[str, Any]) -> None:
    _visit(category.get("parent", category))
