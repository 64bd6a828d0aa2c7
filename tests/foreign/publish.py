"""Publishes contracts and invoices to Throughline with Confluent's Python client and nothing of ours.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python publish.py --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8081 --count 1000

Every contract is followed by its invoice. The same --run gives the same events, byte for byte: publishing twice changes nothing.
Prints one JSON object and exits 0 if the broker acknowledged every record, else 1.
"""

import argparse
import datetime
import decimal
import json
import sys

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SOURCE = "urn:example:billing"
TYPE_PREFIX = "com.example.throughline."
FIRST_DAY = datetime.date(2026, 1, 1)
SCALE = decimal.Decimal("0.000000001")  # unit prices and quantities have 9 decimals


def head(account, at):
    """What every event carries."""
    return {
        "account_id": account,
        "entity_version": 1,  # from 1, without gaps, per subject
        "effective_at": at,
        "recorded_at": at,
        "legal_entity_id": "UK",
    }


def contract(run, number, at):
    """The contract of an account; fields that are left out take the schema's default."""
    account = f"{run}-acc-{number:06}"
    return {
        **head(account, at),
        "contract_id": f"{run}-con-{number:06}",
        "customer": {
            "legal_name": f"Foreign Customer {number}",
            "email": f"billing-{number}@customer.example",
            "currency": "GBP",
            "payment_terms": {"code": "NET30", "net_days": 30},
            "billing_address": {"line1": f"{number} High Street", "city": "Leeds", "country": "GB"},
        },
        "currency": "GBP",
        "term": {"start_on": FIRST_DAY, "end_on": None, "timezone": "Europe/London"},
        "lines": [
            {
                "contract_line_id": "1",
                "product_id": "SUB-TEAM",
                "charge_type": "recurring",
                "quantity": decimal.Decimal(number % 20 + 1).quantize(SCALE),
                "unit_price": decimal.Decimal("12.50").quantize(SCALE),
                "amount_minor": (number % 20 + 1) * 1250,
            }
        ],
    }


def invoice(run, number, at):
    """The first invoice of the contract: each line is rounded, then summed."""
    seats = number % 20 + 1
    net = seats * 1250
    tax = net // 5
    return {
        **head(f"{run}-acc-{number:06}", at),
        "invoice_id": f"{run}-inv-{number:06}",
        "invoice_number": f"{run.upper()}-{number:06}",
        "contract_id": f"{run}-con-{number:06}",
        "issue_on": FIRST_DAY,
        "due_on": FIRST_DAY + datetime.timedelta(days=30),
        "timezone": "Europe/London",
        "currency": "GBP",
        "lines": [
            {
                "line_id": "1",
                "product_id": "SUB-TEAM",
                "description": "Team plan, January",
                "charge_type": "recurring",
                "quantity": decimal.Decimal(seats).quantize(SCALE),
                "unit_price": decimal.Decimal("12.50").quantize(SCALE),
                "net_minor": net,
                "tax_minor": tax,
                "taxes": [
                    {
                        "jurisdiction": "GB",
                        "category_code": "S",
                        "rate_percent": decimal.Decimal("20.0000"),
                        "taxable_minor": net,
                        "tax_minor": tax,
                    }
                ],
                "service_period": {
                    "start_on": FIRST_DAY,
                    "end_on": datetime.date(2026, 2, 1),  # the day after the last one
                    "timezone": "Europe/London",
                },
            }
        ],
        "totals": {
            "line_net_minor": net,
            "tax_exclusive_minor": net,
            "tax_minor": tax,
            "tax_inclusive_minor": net + tax,
            "payable_minor": net + tax,
        },
    }


def events(run, count):
    """(topic, subject, event) of `count` events: contract, invoice, contract, invoice, …"""
    start = datetime.datetime(2026, 1, 1, 9, 0, tzinfo=datetime.timezone.utc)
    for index in range(count):
        number = index // 2
        at = start + datetime.timedelta(seconds=index)
        if index % 2 == 0:
            event = contract(run, number, at)
            yield "contract.activated.v1", event["contract_id"], event
        else:
            event = invoice(run, number, at)
            yield "invoice.posted.v1", event["invoice_id"], event


def headers(topic, subject, event):
    """CloudEvents 1.0 in Kafka's binary mode. (ce_source, ce_id) is the identity of the event."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{topic}:{subject}:{event['entity_version']}".encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_type", (TYPE_PREFIX + topic).encode()),
        ("ce_time", event["effective_at"].isoformat().encode()),
        ("ce_subject", subject.encode()),
        ("content-type", b"application/avro"),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", required=True, help="host:port, comma separated")
    parser.add_argument("--registry", required=True, help="URL of the schema registry")
    parser.add_argument("--count", type=int, default=1000, help="events in all; half of them contracts")
    parser.add_argument("--run", default="py", help="prefix of all ids")
    options = parser.parse_args()

    registry = SchemaRegistryClient({"url": options.registry})
    # Never register from a publisher: the schemas belong to the topics.
    serialize = AvroSerializer(registry, conf={"auto.register.schemas": False, "use.latest.version": True})
    producer = Producer(
        {
            "bootstrap.servers": options.brokers,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # librdkafka's default is another one than Java's
        }
    )
    acknowledged = 0
    failures = []

    def delivered(error, _message):
        nonlocal acknowledged
        if error is None:
            acknowledged += 1
        else:
            failures.append(str(error))

    for topic, subject, event in events(options.run, options.count):
        value = serialize(event, SerializationContext(topic, MessageField.VALUE))
        while True:
            try:
                producer.produce(
                    topic,
                    key=event["account_id"].encode(),
                    value=value,
                    headers=headers(topic, subject, event),
                    on_delivery=delivered,
                )
                break
            except BufferError:  # the local queue is full: let it drain
                producer.poll(0.1)
        producer.poll(0)
    unsent = producer.flush(60)
    print(json.dumps({"published": acknowledged, "failed": len(failures), "unsent": unsent, "errors": failures[:3]}))
    return 0 if acknowledged == options.count else 1


if __name__ == "__main__":
    sys.exit(main())
