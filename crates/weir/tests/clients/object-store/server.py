"""A server that speaks the protocol of S3 and checks signatures, and an independent reader of Parquet.

Prints one line of JSON with its address and a key. Then, for every line of its input, one line of JSON with all objects of the
bucket `calls`: name, media type, and either lines or, for Parquet, columns with their types and rows.
"""

import io
import json
import logging
import os
import sys

# The first calls make a user; from then on every call must be signed with a key.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
import pyarrow.parquet
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def client(service, key_id="none", secret="none"):
    keys = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
    return boto3.client(service, endpoint_url=url, region_name="eu-central-1", **keys)


def shown(name):
    found = store.get_object(Bucket="calls", Key=name)
    content = found["Body"].read()
    described = {"name": name, "type": found["ContentType"], "bytes": len(content)}
    if not name.endswith(".parquet"):
        return described | {"lines": content.decode().splitlines()}
    file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
    group = file.metadata.row_group(0)
    return described | {
        "columns": {field.name: str(field.type) for field in file.schema_arrow},
        "compression": sorted({group.column(number).compression for number in range(group.num_columns)}),
        "rows": file.read().to_pylist(),
    }


server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())
everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}], "Version": "2012-10-17"}
users = client("iam")
users.create_user(UserName="weir")
users.put_user_policy(UserName="weir", PolicyName="all", PolicyDocument=json.dumps(everything))
key = users.create_access_key(UserName="weir")["AccessKey"]
client("s3").create_bucket(Bucket="calls", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
store = client("s3", key["AccessKeyId"], key["SecretAccessKey"])
print(json.dumps({"url": url, "key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
for _ in sys.stdin:
    names = [entry["Key"] for entry in store.list_objects_v2(Bucket="calls").get("Contents", [])]
    print(json.dumps([shown(name) for name in names], default=str), flush=True)
server.stop()
