# What a team keeps in Terraform: a user that may be destroyed with its keys, a
# group, a role with managed and inline policies, an instance profile.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  max_retries = 5
}

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "AWS"
      identifiers = [data.aws_caller_identity.me.account_id]
    }
  }
}

data "aws_iam_policy_document" "photos" {
  statement {
    actions   = ["storage:Get*"]
    resources = ["arn:aws:storage:::photos/*"]
  }
}

resource "aws_iam_user" "alice" {
  name                 = "alice"
  path                 = "/people/"
  force_destroy        = true
  permissions_boundary = aws_iam_policy.photos.arn
  tags                 = { team = "a b" }
}

resource "aws_iam_access_key" "alice" {
  user = aws_iam_user.alice.name
}

resource "aws_iam_user_policy" "alice" {
  name   = "own"
  user   = aws_iam_user.alice.name
  policy = data.aws_iam_policy_document.photos.json
}

resource "aws_iam_user_policy_attachment" "alice" {
  user       = aws_iam_user.alice.name
  policy_arn = aws_iam_policy.photos.arn
}

resource "aws_iam_group" "team" {
  name = "team"
}

resource "aws_iam_group_membership" "team" {
  name  = "team"
  group = aws_iam_group.team.name
  users = [aws_iam_user.alice.name]
}

resource "aws_iam_group_policy" "team" {
  name   = "own"
  group  = aws_iam_group.team.name
  policy = data.aws_iam_policy_document.photos.json
}

resource "aws_iam_group_policy_attachment" "team" {
  group      = aws_iam_group.team.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_policy" "photos" {
  name        = "photos"
  path        = "/shared/"
  description = "Reads photos."
  policy      = data.aws_iam_policy_document.photos.json
  tags        = { team = "a b" }
}

resource "aws_iam_role" "reader" {
  name                 = "reader"
  description          = "Reads for the team."
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 7200
  tags                 = { team = "a b" }
}

resource "aws_iam_role_policy" "reader" {
  name   = "own"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.photos.json
}

resource "aws_iam_role_policy_attachment" "reader" {
  role       = aws_iam_role.reader.name
  policy_arn = aws_iam_policy.photos.arn
}

resource "aws_iam_instance_profile" "box" {
  name = "box"
  role = aws_iam_role.reader.name
  tags = { team = "a b" }
}
