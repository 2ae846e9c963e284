"""Random operations of clients on SQS, and all that one can ask of it but the messages, since that takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.aws_kit import ACCOUNT, REGION
from tests.aws_random_kit import Clients, answer, few, operation, texts

QUEUES = ("jobs", "late", "line.fifo")
queues = st.sampled_from(QUEUES)


class SqsClients(Clients):
    service = "sqs"
    operations = st.one_of(
        operation("send", queues, texts, few),
        operation("send", queues, texts, few),
        operation("send_several", queues, st.lists(texts, min_size=1, max_size=3)),
        operation("receive", queues, st.integers(1, 3), st.sampled_from([0, 600])),
        operation("receive", queues, st.integers(1, 3), st.sampled_from([0, 600])),
        operation("delete", few),
        operation("delete_several", queues),
        operation("visibility", few, st.sampled_from([0, 900])),
        operation("purge", queues),
        operation("attributes", queues, few),
        operation("redrive", st.booleans()),
        operation("tag", queues, texts),
        operation("untag", queues),
        operation("delete_queue", queues),
        operation("create_queue", queues),
    )

    def begin(self) -> None:
        self._received: list[tuple[str, str]] = []
        for queue in QUEUES:
            self.create_queue(queue)

    def answers(self) -> dict[str, Any]:
        return dict(self._answers())

    def alone(self, answers: dict[str, Any]) -> dict[str, Any]:
        kept = {read: told for read, told in answers.items() if read.startswith(("attributes", "tags"))}
        return {
            read: {name: value for name, value in told.get("Attributes", {}).items() if "Approximate" not in name}
            if read.startswith("attributes")
            else told
            for read, told in kept.items()
        }

    def _answers(self) -> Iterator[tuple[str, Any]]:
        urls = self.client.list_queues().get("QueueUrls", [])
        yield "queues", urls
        for url in urls:
            yield f"attributes {url}", answer(self.client.get_queue_attributes, QueueUrl=url, AttributeNames=["All"])
            yield f"tags {url}", answer(self.client.list_queue_tags, QueueUrl=url)
            yield f"sources {url}", answer(self.client.list_dead_letter_source_queues, QueueUrl=url)

    def _url(self, queue: str) -> str:
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}"

    def _arn(self, queue: str) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"

    def create_queue(self, queue: str) -> None:
        fifo = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
        self.client.create_queue(QueueName=queue, Attributes=fifo)

    def delete_queue(self, queue: str) -> None:
        self.client.delete_queue(QueueUrl=self._url(queue))

    def send(self, queue: str, text: str, number: int) -> None:
        more: dict[str, Any] = {"MessageAttributes": {"n": {"DataType": "Number", "StringValue": str(number)}}}
        if queue.endswith(".fifo"):
            more |= {"MessageGroupId": f"g{number % 2}", "MessageDeduplicationId": f"{number}"}
        elif number == 0:
            more |= {"DelaySeconds": 900}
        self.client.send_message(QueueUrl=self._url(queue), MessageBody=text or "-", **more)

    def send_several(self, queue: str, several: list[str]) -> None:
        fifo = {"MessageGroupId": "g"} if queue.endswith(".fifo") else {}
        ids = [{"MessageDeduplicationId": f"d{place}"} if fifo else {} for place in range(len(several))]
        entries = [
            {"Id": str(place), "MessageBody": text or "-", **fifo, **ids[place]} for place, text in enumerate(several)
        ]
        self.client.send_message_batch(QueueUrl=self._url(queue), Entries=entries)

    def receive(self, queue: str, count: int, seconds: int) -> None:
        told = self.client.receive_message(
            QueueUrl=self._url(queue), MaxNumberOfMessages=count, VisibilityTimeout=seconds, WaitTimeSeconds=0
        )
        self._received += [(queue, message["ReceiptHandle"]) for message in told.get("Messages", ())]

    def delete(self, number: int) -> None:
        if self._received:
            queue, handle = self._received[number % len(self._received)]
            self.client.delete_message(QueueUrl=self._url(queue), ReceiptHandle=handle)

    def delete_several(self, queue: str) -> None:
        handles = [handle for known, handle in self._received if known == queue][:3]
        if handles:
            entries = [{"Id": str(place), "ReceiptHandle": handle} for place, handle in enumerate(handles)]
            self.client.delete_message_batch(QueueUrl=self._url(queue), Entries=entries)

    def visibility(self, number: int, seconds: int) -> None:
        if self._received:
            queue, handle = self._received[number % len(self._received)]
            self.client.change_message_visibility(
                QueueUrl=self._url(queue), ReceiptHandle=handle, VisibilityTimeout=seconds
            )

    def purge(self, queue: str) -> None:
        self.client.purge_queue(QueueUrl=self._url(queue))

    def attributes(self, queue: str, number: int) -> None:
        told = {"VisibilityTimeout": str(600 + number), "MessageRetentionPeriod": str(86400 + number)}
        self.client.set_queue_attributes(QueueUrl=self._url(queue), Attributes=told)

    def redrive(self, wanted: bool) -> None:
        policy = json.dumps({"deadLetterTargetArn": self._arn(QUEUES[1]), "maxReceiveCount": 1}) if wanted else ""
        self.client.set_queue_attributes(QueueUrl=self._url(QUEUES[0]), Attributes={"RedrivePolicy": policy})

    def tag(self, queue: str, text: str) -> None:
        self.client.tag_queue(QueueUrl=self._url(queue), Tags={"text": text})

    def untag(self, queue: str) -> None:
        self.client.untag_queue(QueueUrl=self._url(queue), TagKeys=["text"])
