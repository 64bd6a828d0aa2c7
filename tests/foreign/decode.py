"""Reads Avro datums with fastavro, for whoever wants to know whether another decoder reads what ours reads.

The first line is a JSON array of schemas. Each further line is `SCHEMA DATUM AGAIN`: a place in that array, a datum, and what somebody
made of it (`-` if they could not); bytes are in hexadecimal behind an `x`. The answer is one line of words:

    read    the datum is read, to its last byte and not beyond
    plain   and fastavro would write it just so
    same    and the other bytes are the same value

Logical types are left out: what is compared is what is on the wire, not what a calendar makes of it.
"""

import io
import json
import sys

import fastavro


def bare(schema):
    if isinstance(schema, dict):
        return {name: bare(value) for name, value in schema.items() if name not in ("logicalType", "default")}
    if isinstance(schema, list):
        return [bare(one) for one in schema]
    return schema


def read(schema, datum):
    source = io.BytesIO(datum)
    value = fastavro.schemaless_reader(source, schema)
    return value, source.tell() == len(datum)


def write(schema, value):
    target = io.BytesIO()
    fastavro.schemaless_writer(target, schema, value)
    return target.getvalue()


def words(schema, datum, again):
    try:
        value, whole = read(schema, datum)
        if not whole:
            return []
        written = write(schema, value)
    except Exception:
        return []
    found = ["read"] + ["plain"] * (written == datum)
    try:
        if again is not None and write(schema, read(schema, again)[0]) == written:
            found.append("same")
    except Exception:
        pass
    return found


def main():
    schemas = [fastavro.parse_schema(bare(json.loads(text))) for text in json.loads(sys.stdin.readline())]
    for line in sys.stdin:
        place, datum, again = line.split()
        other = None if again == "-" else bytes.fromhex(again[1:])
        print(" ".join(words(schemas[int(place)], bytes.fromhex(datum[1:]), other)), flush=True)


main()
