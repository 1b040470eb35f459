"""The README's session as a program of boto3's, and what programs do besides:
pages, waiters, presigned requests, error codes. Run it in the environment of
`holdfast exec`, with a service of storage: actions for which admin speaks."""

import json
import os
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

ACCOUNT = os.environ["HOLDFAST_ACCOUNT_ID"]
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_REGION"]
CONFIG = Config(retries={"total_max_attempts": 3, "mode": "standard"})

iam = boto3.client("iam", config=CONFIG)
sts = boto3.client("sts", config=CONFIG)


def same(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: {got!r}, want {want!r}")


def refused(code, call, status=None, **params):
    """The call fails with a code, as a modeled exception where there is one."""
    try:
        call(**params)
    except ClientError as e:
        same(f"the error of {e.operation_name}", e.response["Error"]["Code"], code)
        if not e.response["Error"]["Message"] or not e.response["ResponseMetadata"]["RequestId"]:
            raise SystemExit(f"{e.operation_name} fails without a message or a request id: {e.response}")
        if status:
            same(f"the status of {e.operation_name}", e.response["ResponseMetadata"]["HTTPStatusCode"], status)
        return e
    raise SystemExit(f"{call} succeeded, want {code}")


def session(credentials, service):
    return boto3.client(service, config=CONFIG, aws_access_key_id=credentials["AccessKeyId"],
                        aws_secret_access_key=credentials["SecretAccessKey"], aws_session_token=credentials.get("SessionToken"))


def allow(action, resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


def users():
    refused("NoSuchEntity", iam.get_user, 404, UserName="alice")
    try:
        iam.get_waiter("user_exists").wait(UserName="alice", WaiterConfig={"Delay": 0, "MaxAttempts": 2})
        raise SystemExit("the waiter found a user that does not exist")
    except WaiterError:
        pass
    made = iam.create_user(UserName="alice", Tags=[{"Key": "team", "Value": "a b"}])["User"]
    same("the ARN", made["Arn"], f"arn:aws:iam::{ACCOUNT}:user/alice")
    iam.get_waiter("user_exists").wait(UserName="alice")
    try:
        iam.create_user(UserName="Alice")
        raise SystemExit("a second alice was made")
    except iam.exceptions.EntityAlreadyExistsException as e:
        same("the status", e.response["ResponseMetadata"]["HTTPStatusCode"], 409)
    refused("ValidationError", iam.create_user, 400, UserName="a b")
    for name in ("bob", "carol"):
        iam.create_user(UserName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1}))
    same("pages", len(pages), 4)
    same("users", [u["UserName"] for p in pages for u in p["Users"]], ["admin", "alice", "bob", "carol"])
    first = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1, "MaxItems": 2}).build_full_result()
    rest = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1, "StartingToken": first["NextToken"]}).build_full_result()
    same("a list in two halves", [u["UserName"] for u in first["Users"] + rest["Users"]], ["admin", "alice", "bob", "carol"])
    same("when it was made", (iam.get_user(UserName="alice")["User"]["CreateDate"] - made["CreateDate"]).total_seconds(), 0)


def keys():
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    same("alice's own identity", session(key, "sts").get_caller_identity()["Arn"], f"arn:aws:iam::{ACCOUNT}:user/alice")
    refused("AccessDenied", session(key, "iam").list_users, 403)
    iam.put_user_policy(UserName="alice", PolicyName="look", PolicyDocument=allow("iam:ListUsers"))
    same("what alice sees", len(session(key, "iam").list_users()["Users"]), 4)
    same("her policy, decoded", iam.get_user_policy(UserName="alice", PolicyName="look")["PolicyDocument"], json.loads(allow("iam:ListUsers")))
    refused("MalformedPolicyDocument", iam.put_user_policy, 400, UserName="alice", PolicyName="look", PolicyDocument="{")
    iam.create_access_key(UserName="alice")
    refused("LimitExceeded", iam.create_access_key, 409, UserName="alice")
    refused("DeleteConflict", iam.delete_user, 409, UserName="alice")
    return key


def roles(key):
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]})
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]
    iam.get_waiter("role_exists").wait(RoleName="reader")
    same("its trust, decoded", iam.get_role(RoleName="reader")["Role"]["AssumeRolePolicyDocument"], json.loads(trust))
    iam.put_role_policy(RoleName="reader", PolicyName="photos", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "storage:Get*", "Resource": "arn:aws:storage:::photos/*"},
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/team": "a"}}}]}))
    managed = iam.create_policy(PolicyName="nothing", PolicyDocument=allow("nothing:AtAll"))["Policy"]
    iam.get_waiter("policy_exists").wait(PolicyArn=managed["Arn"])
    iam.create_instance_profile(InstanceProfileName="box")
    iam.get_waiter("instance_profile_exists").wait(InstanceProfileName="box")
    refused("AccessDenied", session(key, "sts").assume_role, 403, RoleArn=role["Arn"], RoleSessionName="demo")
    refused("ValidationError", sts.assume_role, 400, RoleArn=role["Arn"], RoleSessionName="demo", DurationSeconds=3601)
    refused("MalformedPolicyDocument", sts.assume_role, 400, RoleArn=role["Arn"], RoleSessionName="demo", Policy="{")

    plain = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="demo")
    same("the session", plain["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/demo")
    refused("AccessDenied", session(plain["Credentials"], "iam").list_users, 403)
    tagged = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="demo", Tags=[{"Key": "team", "Value": "a"}], Policy=allow("iam:ListUsers"))
    inside = session(tagged["Credentials"], "iam")
    same("with the tag", len(inside.list_users()["Users"]), 4)
    refused("AccessDenied", inside.list_roles, 403)
    refused("AccessDenied", session(tagged["Credentials"], "sts").get_session_token, 403)


def presigned():
    """A request that is only a URL proves who made it (EKS's and Vault's way).
    Without HttpMethod botocore signs the model's method, POST, and no body."""
    for method, stated in (("GET", "GET"), ("POST", None)):
        url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod=stated)
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers={"Accept": "application/json"})) as r:
            answer = json.load(r)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
        same("whose URL it is", answer["Arn"], f"arn:aws:iam::{ACCOUNT}:user/admin")
        try:
            urllib.request.urlopen(urllib.request.Request(url.replace("Action=GetCallerIdentity", "Action=GetSessionToken"), method=method))
            raise SystemExit("a changed URL was accepted")
        except urllib.error.HTTPError as e:
            same("a changed URL", e.code, 403)


def post(path, body, headers):
    with urllib.request.urlopen(urllib.request.Request(ENDPOINT + path, data=body, headers=headers)) as r:
        return json.load(r)


def decide(action):
    """Asks the decision door as the service does, signed by botocore."""
    body = json.dumps({"principal": f"arn:aws:iam::{ACCOUNT}:role/reader", "action": action, "resource": "arn:aws:storage:::photos/cat.jpg"}).encode()
    request = AWSRequest("POST", ENDPOINT + "/holdfast/v1/authorize", data=body, headers={"Content-Type": "application/json"})
    SigV4Auth(boto3.Session().get_credentials(), "holdfast", REGION).add_auth(request)
    return post("/holdfast/v1/authorize", body, dict(request.headers))["decision"]


def doors():
    same("reading", decide("storage:GetObject"), "Allowed")
    same("writing", decide("storage:PutObject"), "ImplicitDeny")
    made = iam.create_service_specific_credential(UserName="admin", ServiceName="holdfast.amazonaws.com")["ServiceSpecificCredential"]
    question = {"subject": {"type": "aws.principal", "id": f"arn:aws:iam::{ACCOUNT}:role/reader"}, "action": {"name": "storage:GetObject"},
                "resource": {"type": "aws.resource", "id": "arn:aws:storage:::photos/cat.jpg"}}
    answer = post("/access/v1/evaluation", json.dumps(question).encode(), {"Authorization": "Bearer " + made["ServiceCredentialSecret"], "Content-Type": "application/json"})
    same("AuthZEN", answer["decision"], True)
    refused("NotSupportedService", iam.create_service_specific_credential, 404, UserName="admin", ServiceName="s3.amazonaws.com")


def strangers():
    wrong = boto3.client("sts", config=CONFIG, aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wrong")
    refused("SignatureDoesNotMatch", wrong.get_caller_identity, 403)
    unknown = boto3.client("sts", config=CONFIG, aws_access_key_id="AKIAABSENTABSENT0000", aws_secret_access_key="x")
    refused("InvalidClientTokenId", unknown.get_caller_identity, 403)


users()
roles(keys())
presigned()
doors()
strangers()
print("the session went as written")
