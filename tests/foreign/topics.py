"""Does to a topic what administrators and retention do, with Confluent's Python client and nothing of ours.

    python topics.py --brokers 127.0.0.1:9092 recreate TOPIC           deletes it and makes it again, with as many partitions
    python topics.py --brokers 127.0.0.1:9092 forget TOPIC PARTITION OFFSET    removes the records below an offset

Exits 0 when the broker shows the change.
"""

import argparse
import sys
import time

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

DEADLINE_SECONDS = 60


def until(what, holds):
    """Waits until `holds()`, at most until the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"not in {DEADLINE_SECONDS} s: {what}")
        time.sleep(0.1)


def recreate(admin, topic):
    known = lambda: admin.list_topics(timeout=10).topics
    partitions = len(known()[topic].partitions)
    admin.delete_topics([topic])[topic].result()
    until("the topic is gone", lambda: topic not in known())
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()
    until("the topic is back", lambda: topic in known() and len(known()[topic].partitions) == partitions)


def forget(admin, topic, partition, offset):
    place = TopicPartition(topic, int(partition), int(offset))
    admin.delete_records([place])[place].result()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", required=True)
    parser.add_argument("verb", choices=["recreate", "forget"])
    parser.add_argument("rest", nargs="+")
    arguments = parser.parse_args()
    admin = AdminClient({"bootstrap.servers": arguments.brokers})
    {"recreate": recreate, "forget": forget}[arguments.verb](admin, *arguments.rest)


if __name__ == "__main__":
    main()
