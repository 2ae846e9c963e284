"""Some of everything of S3, DynamoDB, SQS and KMS, and every answer of DynamoDB's, SQS's and KMS's reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from tests import test_aws_dynamodb, test_aws_kms, test_aws_s3
from tests.aws_kit import ACCOUNT, REGION
from tests.aws_random_kit import answer

Ids = dict[str, Any]


@cache
def client(service: str) -> Any:
    """Of whichever world is entered."""
    return boto3.client(
        service,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="any",
        config=Config(
            account_id_endpoint_mode="disabled"
        ),  # the emulator does not know the host of an account's streams
    )


def fill_s3(s3: Any) -> Ids:
    there = {"LocationConstraint": REGION}
    for bucket in ("log-target", "full", "plain", "box"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=there)
    test_aws_s3._furnish(s3, "full")
    s3.put_bucket_versioning(Bucket="box", VersioningConfiguration={"Status": "Enabled"})
    for text in ("one", "two"):
        for key in ("a", "b/ü", "gone"):
            s3.put_object(Bucket="box", Key=key, Body=text.encode() * 100, Metadata={"t": text}, Tagging=f"t={text}")
    s3.delete_object(Bucket="box", Key="gone")
    s3.put_object_acl(Bucket="box", Key="a", ACL="public-read")
    s3.copy_object(CopySource={"Bucket": "box", "Key": "a"}, Bucket="plain", Key="copy")
    for key in ("whole", "unfinished"):
        place = {"Bucket": "plain", "Key": key}
        place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
        etag = s3.upload_part(**place, PartNumber=1, Body=b"part" * 1000)["ETag"]
        if key == "whole":
            parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
            s3.complete_multipart_upload(**place, MultipartUpload=parts)
    return {}


def fill_dynamodb(dynamodb: Any) -> Ids:
    test_aws_dynamodb.make_plain(dynamodb)
    arn = test_aws_dynamodb.make_rich(dynamodb)
    told = {"Enabled": True, "AttributeName": "expires"}
    dynamodb.update_time_to_live(TableName="orders", TimeToLiveSpecification=told)
    for at in (3, 1, 2):
        item = {**test_aws_dynamodb.EVERY_TYPE, "id": {"S": "a/b"}, "at": {"N": f"{at}"}, "kind": {"S": "k"}}
        dynamodb.put_item(TableName="orders", Item=item)
    dynamodb.delete_item(TableName="orders", Key={"id": {"S": "a/b"}, "at": {"N": "1"}})
    dynamodb.put_item(TableName="plain", Item={"id": {"S": "x"}})
    dynamodb.create_backup(TableName="orders", BackupName="kept")
    return {"orders": arn}


def read_dynamodb(dynamodb: Any, ids: Ids) -> Any:
    streams = client("dynamodbstreams")
    stream = dynamodb.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
    described = streams.describe_stream(StreamArn=stream)["StreamDescription"]
    (shard,) = described["Shards"]
    at = streams.get_shard_iterator(StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    found = {
        "stream": described,
        "told": streams.get_records(ShardIterator=at["ShardIterator"])["Records"],
        "tables": dynamodb.list_tables()["TableNames"],
        "tags": answer(dynamodb.list_tags_of_resource, ResourceArn=ids["orders"]),
        "backups": answer(dynamodb.list_backups),
        "by kind": answer(
            dynamodb.query,
            TableName="orders",
            IndexName="by-kind",
            KeyConditionExpression="kind = :k",
            ExpressionAttributeValues={":k": {"S": "k"}},
        ),
    }
    for table in found["tables"]:
        for read in ("describe_table", "scan", "describe_time_to_live", "describe_continuous_backups"):
            found[f"{read} {table}"] = answer(getattr(dynamodb, read), TableName=table)
    return found


def fill_sqs(sqs: Any) -> Ids:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"maxReceiveCount": 1, "deadLetterTargetArn": arn})
    allowed = json.dumps({"sourceQueueArns": [arn], "redrivePermission": "byQueue"})
    hours = {"RedrivePolicy": redrive, "VisibilityTimeout": "36000", "RedriveAllowPolicy": allowed}
    jobs = sqs.create_queue(QueueName="jobs", Attributes=hours, tags={"team": "a"})["QueueUrl"]
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    line = sqs.create_queue(QueueName="line.fifo", Attributes=fifo)["QueueUrl"]
    binary = {"blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    for body in ("taken", "returned", "waiting"):
        sqs.send_message(QueueUrl=jobs, MessageBody=body, MessageAttributes=binary)
        sqs.send_message(QueueUrl=line, MessageBody=body, MessageGroupId="g")
    sqs.send_message(QueueUrl=jobs, MessageBody="later", DelaySeconds=900)
    taken, returned = sqs.receive_message(QueueUrl=jobs, MaxNumberOfMessages=2)["Messages"]
    sqs.change_message_visibility(QueueUrl=jobs, ReceiptHandle=returned["ReceiptHandle"], VisibilityTimeout=0)
    sqs.add_permission(QueueUrl=jobs, Label="p", AWSAccountIds=["222222222222"], Actions=["SendMessage"])
    return {"jobs": jobs, "line": line, "dead": dead, "taken": taken["ReceiptHandle"]}


def read_sqs(sqs: Any, ids: Ids) -> Any:
    found: dict[str, Any] = {"queues": sqs.list_queues()["QueueUrls"]}
    for url in found["queues"]:
        found[f"attributes {url}"] = answer(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["All"])
        found[f"tags {url}"] = answer(sqs.list_queue_tags, QueueUrl=url)
        found[f"sources {url}"] = answer(sqs.list_dead_letter_source_queues, QueueUrl=url)
    return found


def fill_kms(kms: Any) -> Ids:
    create = test_aws_kms.create
    plain = create(kms, Description="plain", Tags=[{"TagKey": "z", "TagValue": "1"}])
    kms.create_alias(AliasName="alias/main", TargetKeyId=plain)
    kms.create_grant(KeyId=plain, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:role/a", Operations=["Encrypt"])
    kms.schedule_key_deletion(KeyId=create(kms), PendingWindowInDays=8)
    sealed = kms.encrypt(KeyId=plain, Plaintext=b"secret", EncryptionContext={"for": "test"})["CiphertextBlob"]
    data_key = kms.generate_data_key(KeyId=plain, KeySpec="AES_256")
    maker = create(kms, KeySpec="HMAC_512", KeyUsage="GENERATE_VERIFY_MAC")
    mac = kms.generate_mac(KeyId=maker, Message=b"m", MacAlgorithm="HMAC_SHA_512")["Mac"]
    signed = {}
    for spec, algorithm in (("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_NIST_P256", "ECDSA_SHA_256")):
        key = create(kms, KeySpec=spec, KeyUsage="SIGN_VERIFY")
        signature = kms.sign(KeyId=key, Message=b"m", SigningAlgorithm=algorithm)["Signature"]
        signed[key] = [algorithm, _text(signature)]
    return {
        "sealed": _text(sealed),
        "data key": [_text(data_key["CiphertextBlob"]), _text(data_key["Plaintext"])],
        "mac": [maker, _text(mac)],
        "signed": signed,
    }


def read_kms(kms: Any, ids: Ids) -> Any:
    """What was encrypted is decrypted, what was signed is verified."""
    sealed, (data_key, plain), (maker, mac) = ids["sealed"], ids["data key"], ids["mac"]
    told = kms.decrypt(CiphertextBlob=_bytes(sealed), EncryptionContext={"for": "test"})
    assert told["Plaintext"] == b"secret"
    assert kms.decrypt(CiphertextBlob=_bytes(data_key))["Plaintext"] == _bytes(plain)
    assert kms.verify_mac(KeyId=maker, Message=b"m", MacAlgorithm="HMAC_SHA_512", Mac=_bytes(mac))["MacValid"]
    for key, (algorithm, signature) in ids["signed"].items():
        what = {"KeyId": key, "Message": b"m", "SigningAlgorithm": algorithm}
        assert kms.verify(**what, Signature=_bytes(signature))["SignatureValid"]
    return test_aws_kms.reads(kms)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def without_ids(fill: Callable[[Any], object]) -> Callable[[Any], Ids]:
    def filled(client: Any) -> Ids:
        fill(client)
        return {}

    return filled
