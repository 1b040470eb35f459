package policy

import (
	"strings"
	"testing"
)

// documented is an example of AWS's documentation, restated: the page, the policy's statements, and what its prose says
// about requests, one a line: + allowed, - not, ! denied by a statement; the action, the resource, keys of the context
// (a key with several values has commas, an empty one none).
type documented struct {
	page       string // of the IAM User Guide, .html left out; org: of the Organizations User Guide
	by         Type
	statements string
	asks       string
}

const vault = "arn:aws:s3:::amzn-s3-demo-bucket"

var examples = []documented{
	{"reference_policies_examples_aws-dates", Identity, `{"Effect":"Allow","Action":"x:Do","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2020-04-01T00:00:00Z"},"DateLessThan":{"aws:CurrentTime":"2020-06-30T23:59:59Z"}}}`, `
		+ x:Do * aws:CurrentTime=2020-05-01T12:00:00Z
		- x:Do * aws:CurrentTime=2020-04-01T00:00:00Z
		- x:Do * aws:CurrentTime=2020-06-30T23:59:59Z
		+ x:Do * aws:CurrentTime=1590000000
		- x:Do *`},
	{"reference_policies_examples_aws_mfa-dates", Identity, `{"Effect":"Allow","Action":["x:*","y:A"],"Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":true},"DateGreaterThan":{"aws:CurrentTime":"2017-07-01T00:00:00Z"},"DateLessThan":{"aws:CurrentTime":"2017-12-31T23:59:59Z"}}}`, `
		+ x:Any * aws:CurrentTime=2017-08-01T00:00:00Z aws:MultiFactorAuthPresent=true
		+ y:A * aws:CurrentTime=2017-08-01T00:00:00Z aws:MultiFactorAuthPresent=true
		- y:B * aws:CurrentTime=2017-08-01T00:00:00Z aws:MultiFactorAuthPresent=true
		- x:Any * aws:CurrentTime=2017-08-01T00:00:00Z aws:MultiFactorAuthPresent=false
		- x:Any * aws:CurrentTime=2017-08-01T00:00:00Z
		- x:Any * aws:CurrentTime=2018-01-01T00:00:00Z aws:MultiFactorAuthPresent=true`},
	{"reference_policies_examples_aws_deny-ip", NoPolicy, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/24"]},"Bool":{"aws:ViaAWSService":"false"}}}`, `
		+ s3:GetObject * aws:SourceIp=192.0.2.77 aws:ViaAWSService=false
		! s3:GetObject * aws:SourceIp=198.51.100.1 aws:ViaAWSService=false
		+ s3:GetObject * aws:SourceIp=198.51.100.1 aws:ViaAWSService=true`},
	{"reference_policies_examples_aws_deny-requested-region", NoPolicy, `{"Effect":"Deny","NotAction":["cloudfront:*","iam:*","route53:*","support:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-central-1","eu-west-1"]}}}`, `
		+ ec2:RunInstances * aws:RequestedRegion=eu-west-1
		! ec2:RunInstances * aws:RequestedRegion=us-east-1
		+ iam:GetUser * aws:RequestedRegion=us-east-1
		! ec2:RunInstances *`},
	{"reference_policies_examples_aws-enable-disable-regions", Identity, `{"Effect":"Allow","Action":["account:EnableRegion","account:DisableRegion"],"Resource":"*","Condition":{"StringEquals":{"account:TargetRegion":"ap-east-1"}}}`, `
		+ account:EnableRegion * account:TargetRegion=ap-east-1
		- account:EnableRegion * account:TargetRegion=me-south-1`},
	{"reference_policies_examples_dynamodb_attributes", Identity, `{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Query"],"Resource":["arn:aws:dynamodb:*:*:table/t"],"Condition":{"ForAllValues:StringEquals":{"dynamodb:Attributes":["c1","c2","c3"]},"StringEqualsIfExists":{"dynamodb:Select":"SPECIFIC_ATTRIBUTES"}}}`, `
		+ dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/t dynamodb:Attributes=c1,c3
		- dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/t dynamodb:Attributes=c1,c4
		- dynamodb:Query arn:aws:dynamodb:us-east-1:111122223333:table/t dynamodb:Attributes=c1 dynamodb:Select=ALL_ATTRIBUTES
		- dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/u dynamodb:Attributes=c1`},
	{"reference_policies_examples_dynamodb_items", Identity, `{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:*:*:table/t","Condition":{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["${cognito-identity.amazonaws.com:sub}"]}}}`, `
		+ dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/t dynamodb:LeadingKeys=me cognito-identity.amazonaws.com:sub=me
		- dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/t dynamodb:LeadingKeys=you cognito-identity.amazonaws.com:sub=me
		- dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/t dynamodb:LeadingKeys=me`},
	{"reference_policies_examples_ec2-start-stop-match-tags", Identity, `{"Effect":"Allow","Action":["ec2:startInstances","ec2:stopInstances"],"Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/CostCenter":"${aws:PrincipalTag/CostCenter}"}}}`, `
		+ ec2:StartInstances arn:aws:ec2:us-east-1:111122223333:instance/i aws:ResourceTag/CostCenter=7 aws:PrincipalTag/CostCenter=7
		- ec2:StartInstances arn:aws:ec2:us-east-1:111122223333:instance/i aws:ResourceTag/CostCenter=7 aws:PrincipalTag/CostCenter=8
		- ec2:StartInstances arn:aws:ec2:us-east-1:111122223333:instance/i aws:ResourceTag/CostCenter=7
		- ec2:StartInstances arn:aws:ec2:us-east-1:111122223333:instance/i aws:PrincipalTag/CostCenter=7`},
	{"reference_policies_examples_ec2_tag-owner", Identity, `{"Effect":"Allow","Action":["ec2:StartInstances","ec2:StopInstances"],"Resource":"arn:aws:ec2:*:*:instance/*","Condition":{"StringEquals":{"aws:ResourceTag/Owner":"${aws:username}"}}},{"Effect":"Allow","Action":"ec2:DescribeInstances","Resource":"*"}`, `
		+ ec2:StopInstances arn:aws:ec2:us-east-1:111122223333:instance/i aws:ResourceTag/Owner=ann aws:username=ann
		- ec2:StopInstances arn:aws:ec2:us-east-1:111122223333:instance/i aws:ResourceTag/Owner=Ann aws:username=ann
		+ ec2:DescribeInstances * aws:username=ann`},
	{"reference_policies_examples_ec2_require-mfa", Identity, `{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Deny","Action":["ec2:StopInstances","ec2:TerminateInstances"],"Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":false}}}`, `
		+ ec2:StopInstances * aws:MultiFactorAuthPresent=true
		! ec2:StopInstances * aws:MultiFactorAuthPresent=false
		! ec2:StopInstances *
		+ ec2:RunInstances *`},
	{"reference_policies_examples_ec2_terminate-ip", Identity, `{"Effect":"Allow","Action":["ec2:TerminateInstances"],"Resource":["*"]},{"Effect":"Deny","Action":["ec2:TerminateInstances"],"Condition":{"NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/24"]}},"Resource":["*"]}`, `
		+ ec2:TerminateInstances * aws:SourceIp=203.0.113.9
		! ec2:TerminateInstances * aws:SourceIp=203.0.114.9
		! ec2:TerminateInstances *`},
	{"reference_policies_examples_ec2_region", Identity, `{"Effect":"Allow","Action":"ec2:*","Resource":"*","Condition":{"StringEquals":{"ec2:Region":"us-east-2"}}}`, `
		+ ec2:RunInstances * ec2:region=us-east-2
		- ec2:RunInstances * ec2:Region=us-east-1`},
	{"reference_policies_examples_ec2_volumes-instance", Identity, `{"Effect":"Allow","Action":["ec2:AttachVolume","ec2:DetachVolume"],"Resource":["arn:aws:ec2:*:*:volume/*","arn:aws:ec2:*:*:instance/*"],"Condition":{"ArnEquals":{"ec2:SourceInstanceARN":"arn:aws:ec2:*:*:instance/i-1"}}}`, `
		+ ec2:AttachVolume arn:aws:ec2:us-east-1:111122223333:volume/v ec2:SourceInstanceARN=arn:aws:ec2:us-east-1:111122223333:instance/i-1
		- ec2:AttachVolume arn:aws:ec2:us-east-1:111122223333:volume/v ec2:SourceInstanceARN=arn:aws:ec2:us-east-1:111122223333:instance/i-2
		- ec2:AttachVolume arn:aws:ec2:us-east-1:111122223333:snapshot/s ec2:SourceInstanceARN=arn:aws:ec2:us-east-1:111122223333:instance/i-1`},
	{"reference_policies_examples_iam-add-tag", Identity, `{"Effect":"Allow","Action":["iam:TagUser"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/CostCenter":["A-123","B-456"]},"ForAllValues:StringEquals":{"aws:TagKeys":"CostCenter"}}}`, `
		+ iam:TagUser arn:aws:iam::111122223333:user/x aws:RequestTag/CostCenter=A-123 aws:TagKeys=CostCenter
		- iam:TagUser arn:aws:iam::111122223333:user/x aws:RequestTag/CostCenter=A-124 aws:TagKeys=CostCenter
		- iam:TagUser arn:aws:iam::111122223333:user/x aws:RequestTag/CostCenter=A-123 aws:TagKeys=CostCenter,Team`},
	{"reference_policies_examples_iam-new-user-tag", Identity, `{"Effect":"Allow","Action":["iam:CreateUser","iam:TagUser"],"Resource":"*","Condition":{"StringEqualsIfExists":{"aws:RequestTag/Department":["Development","QualityAssurance"],"aws:RequestTag/JobFunction":"Employee"},"ForAllValues:StringEquals":{"aws:TagKeys":["Department","JobFunction"]}}}`, `
		+ iam:CreateUser * aws:RequestTag/Department=Development aws:RequestTag/JobFunction=Employee aws:TagKeys=Department,JobFunction
		+ iam:CreateUser * aws:RequestTag/Department=Development aws:TagKeys=Department
		+ iam:CreateUser *
		- iam:CreateUser * aws:RequestTag/Department=Sales aws:TagKeys=Department
		- iam:CreateUser * aws:RequestTag/Department=Development aws:TagKeys=Department,Other`},
	{"reference_policies_examples_iam_limit-managed", Identity, `{"Effect":"Allow","Action":["iam:AttachUserPolicy","iam:DetachUserPolicy"],"Resource":"*","Condition":{"ArnEquals":{"iam:PolicyARN":["arn:aws:iam::*:policy/one","arn:aws:iam::*:policy/two"]}}}`, `
		+ iam:AttachUserPolicy * iam:PolicyARN=arn:aws:iam::111122223333:policy/two
		- iam:AttachUserPolicy * iam:PolicyARN=arn:aws:iam::111122223333:policy/three
		- iam:AttachUserPolicy * iam:PolicyARN=arn:aws:iam::aws:111122223333:policy/two`},
	{"reference_policies_examples_iam-passrole-service", Identity, `{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"cloudwatch.amazonaws.com"}}}`, `
		+ iam:PassRole arn:aws:iam::111122223333:role/r iam:PassedToService=cloudwatch.amazonaws.com
		- iam:PassRole arn:aws:iam::111122223333:role/r iam:PassedToService=ec2.amazonaws.com`},
	{"reference_policies_examples_iam_mfa-selfmanage", Identity, `{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"},{"Effect":"Allow","Action":["iam:EnableMFADevice"],"Resource":"arn:aws:iam::*:user/${aws:username}"},{"Effect":"Allow","Action":["iam:DeactivateMFADevice"],"Resource":["arn:aws:iam::*:user/${aws:username}"],"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}},{"Effect":"Deny","NotAction":["iam:EnableMFADevice","iam:ListUsers"],"Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}`, `
		+ iam:ListUsers * aws:username=ann
		+ iam:EnableMFADevice arn:aws:iam::111122223333:user/ann aws:username=ann
		- iam:EnableMFADevice arn:aws:iam::111122223333:user/bob aws:username=ann
		! iam:DeactivateMFADevice arn:aws:iam::111122223333:user/ann aws:username=ann
		+ iam:DeactivateMFADevice arn:aws:iam::111122223333:user/ann aws:username=ann aws:MultiFactorAuthPresent=true`},
	{"reference_policies_examples_iam_credentials_console", Identity, `{"Effect":"Allow","Action":["iam:*LoginProfile","iam:*AccessKey*","iam:*SSHPublicKey*"],"Resource":"arn:aws:iam::111122223333:user/${aws:username}"}`, `
		+ iam:CreateAccessKey arn:aws:iam::111122223333:user/ann aws:username=ann
		+ iam:updateloginprofile arn:aws:iam::111122223333:user/ann aws:username=ann
		- iam:GetUser arn:aws:iam::111122223333:user/ann aws:username=ann
		- iam:CreateAccessKey arn:aws:iam::111122223333:user/anna aws:username=ann`},
	{"reference_policies_examples_lambda-access-dynamodb", Identity, `{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:PutItem"],"Resource":"arn:aws:dynamodb:*:*:table/SampleTable"},{"Effect":"Allow","Action":"logs:CreateLogGroup","Resource":"*"}`, `
		+ dynamodb:PutItem arn:aws:dynamodb:eu-west-1:111122223333:table/SampleTable
		- dynamodb:PutItem arn:aws:dynamodb:eu-west-1:111122223333:table/SampleTable2
		+ logs:CreateLogGroup arn:aws:logs:eu-west-1:111122223333:log-group:g`},
	{"reference_policies_examples_resource_account_data_exch", NoPolicy, `{"Effect":"Deny","NotAction":["s3:GetObject"],"Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceAccount":["111122223333"]}}},{"Effect":"Deny","Action":["s3:GetObject"],"Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceAccount":["111122223333"]},"ForAllValues:StringNotEquals":{"aws:CalledVia":["dataexchange.amazonaws.com"]}}}`, `
		+ s3:GetObject arn:aws:s3:::b/k aws:ResourceAccount=111122223333
		! s3:GetObject arn:aws:s3:::b/k aws:ResourceAccount=999999999999
		+ s3:GetObject arn:aws:s3:::b/k aws:ResourceAccount=999999999999 aws:CalledVia=athena.amazonaws.com,dataexchange.amazonaws.com
		! ec2:RunInstances * aws:ResourceAccount=999999999999`},
	{"reference_policies_examples_s3_cognito-bucket", Identity, `{"Effect":"Allow","Action":"s3:ListBucket","Resource":["` + vault + `"],"Condition":{"StringLike":{"s3:prefix":["cognito/app/${cognito-identity.amazonaws.com:sub}/*"]}}},{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["` + vault + `/cognito/app/${cognito-identity.amazonaws.com:sub}/*"]}`, `
		+ s3:ListBucket ` + vault + ` s3:prefix=cognito/app/me/x cognito-identity.amazonaws.com:sub=me
		- s3:ListBucket ` + vault + ` s3:prefix=cognito/app/you/x cognito-identity.amazonaws.com:sub=me
		+ s3:GetObject ` + vault + `/cognito/app/me/x/y cognito-identity.amazonaws.com:sub=me
		- s3:GetObject ` + vault + `/cognito/app/you/x cognito-identity.amazonaws.com:sub=*
		- s3:GetObject ` + vault + `/cognito/app//x`},
	{"reference_policies_examples_s3_home-directory-console", Identity, `{"Effect":"Allow","Action":["s3:ListAllMyBuckets"],"Resource":"*"},{"Effect":"Allow","Action":"s3:ListBucket","Resource":"` + vault + `","Condition":{"StringLike":{"s3:prefix":["","home/","home/${aws:username}/*"]}}},{"Effect":"Allow","Action":"s3:*","Resource":["` + vault + `/home/${aws:username}","` + vault + `/home/${aws:username}/*"]}`, `
		+ s3:ListBucket ` + vault + ` aws:username=ann s3:prefix=home/
		+ s3:ListBucket ` + vault + ` aws:username=ann s3:prefix=home/ann/x
		- s3:ListBucket ` + vault + ` aws:username=ann s3:prefix=home/bob/x
		+ s3:PutObject ` + vault + `/home/ann/x aws:username=ann
		- s3:PutObject ` + vault + `/home/bob/x aws:username=ann`},
	{"reference_policies_examples_s3_deny-except-bucket", Identity, `{"Effect":"Allow","Action":"s3:*","Resource":["` + vault + `","` + vault + `/*"]},{"Effect":"Deny","NotAction":"s3:*","NotResource":["` + vault + `","` + vault + `/*"]}`, `
		+ s3:GetObject ` + vault + `/k
		! ec2:RunInstances *
		- s3:GetObject arn:aws:s3:::other/k`},
	{"reference_policies_examples_s3_full-access-except-production", Identity, `{"Effect":"Allow","Action":"s3:*","Resource":["` + vault + `","` + vault + `/*"]},{"Effect":"Deny","Action":"s3:*","Resource":["arn:aws:s3:::production","arn:aws:s3:::production/*"]}`, `
		+ s3:GetObject ` + vault + `/k
		! s3:GetObject arn:aws:s3:::production/k
		- s3:GetObject arn:aws:s3:::else/k`},
	{"reference_policies_elements_action", Identity, `{"Effect":"Allow","Action":["iam:*AccessKey*","s3:?etObject","sqs:*"],"Resource":"*"}`, `
		+ iam:DeleteAccessKey *
		+ IAM:listaccesskeys *
		+ s3:GetObject arn:aws:s3:::b/k
		- s3:DeleteObject arn:aws:s3:::b/k
		+ sqs:SendMessage *`},
	{"reference_policies_elements_notaction", Identity, `{"Effect":"Allow","NotAction":"s3:DeleteBucket","Resource":"arn:aws:s3:::*"}`, `
		+ s3:ListBucket arn:aws:s3:::b
		- s3:DeleteBucket arn:aws:s3:::b
		- ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:instance/i`},
	{"reference_policies_elements_notresource", NoPolicy, `{"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::HRBucket/Payroll","arn:aws:s3:::HRBucket/Payroll/*"]}`, `
		+ s3:GetObject arn:aws:s3:::HRBucket/Payroll/k
		! s3:GetObject arn:aws:s3:::HRBucket/k
		! s3:GetObject arn:aws:s3:::HRBucket/payroll/k
		+ ec2:RunInstances *`},
	{"reference_policies_elements_resource", Identity, `{"Effect":"Allow","Action":"*","Resource":["arn:aws:iam::111122223333:user/accounting/*","` + vault + `/*/test/*","arn:aws:dynamodb:us-east-2:111122223333:table/${aws:username}"]}`, `
		+ iam:GetUser arn:aws:iam::111122223333:user/accounting/deep/ann
		- iam:GetUser arn:aws:iam::111122223333:user/accounting
		+ s3:GetObject ` + vault + `/1/test/object.jpg
		+ s3:GetObject ` + vault + `/1/2/test/3/object.jpg
		+ s3:GetObject ` + vault + `/1///test///object.jpg
		- s3:GetObject ` + vault + `/1-test/object.jpg
		- s3:GetObject ` + vault + `/test/object.jpg
		+ dynamodb:GetItem arn:aws:dynamodb:us-east-2:111122223333:table/ann aws:username=ann
		- dynamodb:GetItem arn:aws:dynamodb:us-east-2:111122223333:table/bob aws:username=ann`},
	{"reference_policies_variables (default values)", Identity, `{"Effect":"Allow","Action":"s3:*","Resource":["` + vault + `/${aws:PrincipalTag/team, 'company-wide'}/*"]}`, `
		+ s3:GetObject ` + vault + `/yellow/k aws:PrincipalTag/team=yellow
		- s3:GetObject ` + vault + `/company-wide/k aws:PrincipalTag/team=yellow
		+ s3:GetObject ` + vault + `/company-wide/k
		- s3:GetObject ` + vault + `/yellow/k`},
	{"reference_policies_variables (special characters)", Identity, `{"Effect":"Allow","Action":"*","Resource":["` + vault + `/a${*}","` + vault + `/b${?}","` + vault + `/c${$}{x}"]}`, `
		+ s3:GetObject ` + vault + `/a*
		- s3:GetObject ` + vault + `/ab
		+ s3:GetObject ` + vault + `/b?
		- s3:GetObject ` + vault + `/bb
		+ s3:GetObject ` + vault + `/c${x}`},
	{"reference_policies_elements_condition_operators (String)", Identity, `{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"arn:aws:iam::111122223333:user/*","Condition":{"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}}}`, `
		+ iam:ListAccessKeys arn:aws:iam::111122223333:user/x aws:PrincipalTag/job-category=iamuser-admin
		+ iam:ListAccessKeys arn:aws:iam::111122223333:user/x aws:principaltag/JOB-CATEGORY=iamuser-admin
		- iam:ListAccessKeys arn:aws:iam::111122223333:user/x aws:PrincipalTag/job-category=IAMUSER-ADMIN
		- iam:ListAccessKeys arn:aws:iam::111122223333:user/x`},
	{"reference_policies_elements_condition_operators (Numeric)", Identity, `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"` + vault + `","Condition":{"NumericLessThanEquals":{"s3:max-keys":"10"}}}`, `
		+ s3:ListBucket ` + vault + ` s3:max-keys=10
		+ s3:ListBucket ` + vault + ` s3:max-keys=9.99
		- s3:ListBucket ` + vault + ` s3:max-keys=10.000000000000000000001
		- s3:ListBucket ` + vault + ``},
	{"reference_policies_elements_condition_operators (Date)", Identity, `{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"*","Condition":{"DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:01Z"}}}`, `
		+ iam:ListAccessKeys * aws:TokenIssueTime=2020-01-01T00:00:02Z
		- iam:ListAccessKeys * aws:TokenIssueTime=2020-01-01T00:00:01Z
		- iam:ListAccessKeys *`},
	{"reference_policies_elements_condition_operators (Bool)", NoPolicy, `{"Effect":"Deny","Action":"s3:*","Resource":["` + vault + `","` + vault + `/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, `
		! s3:GetObject ` + vault + `/k aws:SecureTransport=false
		+ s3:GetObject ` + vault + `/k aws:SecureTransport=true
		+ s3:GetObject ` + vault + `/k`},
	{"reference_policies_elements_condition_operators (Binary)", Identity, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"BinaryEquals":{"x:key":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}}`, `
		+ x:Do * x:key=QmluYXJ5VmFsdWVJbkJhc2U2NA==
		- x:Do * x:key=QmluYXJ5VmFsdWVJbkJhc2U2NQ==`},
	{"reference_policies_elements_condition_operators (IpAddress)", Identity, `{"Effect":"Allow","Action":"x:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:DB8:1234:5678::/64"]}}}`, `
		+ x:Do * aws:SourceIp=203.0.113.255
		- x:Do * aws:SourceIp=203.0.114.0
		+ x:Do * aws:SourceIp=2001:db8:1234:5678:ffff::1
		- x:Do * aws:SourceIp=2001:db8:1234:5679::1
		- x:Do *`},
	{"reference_policies_elements_condition_operators (Arn)", Identity, `{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:*:*:q","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:*:123456789012:TOPIC-?"}}}`, `
		+ sqs:SendMessage arn:aws:sqs:us-east-1:111122223333:q aws:SourceArn=arn:aws:sns:eu-west-1:123456789012:TOPIC-1
		- sqs:SendMessage arn:aws:sqs:us-east-1:111122223333:q aws:SourceArn=arn:aws:sns:eu-west-1:123456789012:TOPIC-12
		- sqs:SendMessage arn:aws:sqs:us-east-1:111122223333:q aws:SourceArn=arn:aws:sns:eu-west-1:x:123456789012:TOPIC-1`},
	{"reference_policies_elements_condition_operators (IfExists)", Identity, `{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*","Condition":{"StringLikeIfExists":{"ec2:InstanceType":["t1.*","t2.*"]}}}`, `
		+ ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:instance/* ec2:InstanceType=t2.micro
		- ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:instance/* ec2:InstanceType=m5.large
		+ ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:subnet/s`},
	{"reference_policies_elements_condition_operators (Null)", Identity, `{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"Null":{"aws:TokenIssueTime":"true"}}}`, `
		+ iam:ListUsers *
		- iam:ListUsers * aws:TokenIssueTime=2020-01-01T00:00:00Z`},
	{"reference_policies_condition-logic-multiple-context-keys-or-values", Identity, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEqualsIgnoreCase":{"aws:PrincipalTag/department":["finance","hr","legal"],"aws:PrincipalTag/role":["audit","security"]},"StringEquals":{"aws:PrincipalAccount":"123456789012"}}}`, `
		+ x:Do * aws:PrincipalTag/department=HR aws:PrincipalTag/role=Audit aws:PrincipalAccount=123456789012
		- x:Do * aws:PrincipalTag/department=it aws:PrincipalTag/role=audit aws:PrincipalAccount=123456789012
		- x:Do * aws:PrincipalTag/department=hr aws:PrincipalAccount=123456789012
		- x:Do * aws:PrincipalTag/department=hr aws:PrincipalTag/role=audit aws:PrincipalAccount=123456789013`},
	{"reference_policies_condition-single-vs-multi-valued-context-keys (ForAllValues)", Identity, `{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"*","Condition":{"ForAllValues:StringEquals":{"dynamodb:Attributes":["ID","Message","Tags"]}}}`, `
		+ dynamodb:GetItem * dynamodb:Attributes=ID,Tags
		- dynamodb:GetItem * dynamodb:Attributes=ID,UserName
		+ dynamodb:GetItem *
		+ dynamodb:GetItem * dynamodb:Attributes=`},
	{"reference_policies_condition-single-vs-multi-valued-context-keys (ForAnyValue)", NoPolicy, `{"Effect":"Deny","Action":"dynamodb:PutItem","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"dynamodb:Attributes":["ID","PostDateTime"]}}}`, `
		! dynamodb:PutItem * dynamodb:Attributes=UserName,PostDateTime
		+ dynamodb:PutItem * dynamodb:Attributes=UserName,Message
		+ dynamodb:PutItem *`},
	{"access_policies_boundaries", Boundary, `{"Effect":"Allow","Action":["s3:*","cloudwatch:*","ec2:*"],"Resource":"*"}`, `
		+ s3:GetObject arn:aws:s3:::b/k
		- iam:CreateUser *`},
	{"access_policies_boundaries (delegating)", Identity, `{"Effect":"Allow","Action":["iam:CreateUser","iam:PutUserPolicy"],"Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::123456789012:policy/B"}}},{"Effect":"Allow","Action":"iam:*Policy*","NotResource":"arn:aws:iam::123456789012:user/Maria"},{"Effect":"Deny","Action":"iam:DeletePolicy","Resource":["arn:aws:iam::123456789012:policy/B"]}`, `
		+ iam:CreateUser arn:aws:iam::123456789012:user/x iam:PermissionsBoundary=arn:aws:iam::123456789012:policy/B
		- iam:CreateUser arn:aws:iam::123456789012:user/x iam:PermissionsBoundary=arn:aws:iam::123456789012:policy/C
		- iam:CreateUser arn:aws:iam::123456789012:user/x
		- iam:DeleteUserPolicy arn:aws:iam::123456789012:user/Maria
		! iam:DeletePolicy arn:aws:iam::123456789012:policy/B
		+ iam:DeletePolicy arn:aws:iam::123456789012:policy/C`},
	{"id_credentials_temp_control-access_getfederationtoken", Session, `{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::app"]},{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::app/*"]}`, `
		+ s3:ListBucket arn:aws:s3:::app
		- s3:ListBucket arn:aws:s3:::other
		- sqs:ReceiveMessage *`},
	{"confused-deputy (external id)", Trust, `{"Effect":"Allow","Principal":{"AWS":"` + bob + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"12345"}}}`, `
		+ sts:AssumeRole arn:aws:iam::111122223333:role/r sts:ExternalId=12345
		- sts:AssumeRole arn:aws:iam::111122223333:role/r sts:ExternalId=12346
		- sts:AssumeRole arn:aws:iam::111122223333:role/r`},
	{"id_roles_create_for-user (MFA)", Trust, `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}}}`, `
		+ sts:AssumeRole arn:aws:iam::111122223333:role/r aws:MultiFactorAuthAge=3599
		- sts:AssumeRole arn:aws:iam::111122223333:role/r aws:MultiFactorAuthAge=3600
		- sts:AssumeRole arn:aws:iam::111122223333:role/r`},
	{"reference_policies_elements_principal (instead of NotPrincipal)", Resource, `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["` + vault + `/*"],"Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::444455556666:user/ann"}}}`, `
		! s3:GetObject ` + vault + `/k aws:PrincipalArn=` + bob + `
		+ s3:GetObject ` + vault + `/k aws:PrincipalArn=arn:aws:iam::444455556666:user/ann`},
	{"org orgs_manage_policies_scps_strategies (deny list)", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"dynamodb:*","Resource":"*"}`, `
		+ s3:GetObject arn:aws:s3:::b/k
		! dynamodb:GetItem *`},
	{"org orgs_manage_policies_scps_strategies (allow list)", ServiceControl, `{"Effect":"Allow","Action":["ec2:*","cloudwatch:*"],"Resource":"*"}`, `
		+ ec2:RunInstances *
		- s3:GetObject arn:aws:s3:::b/k`},
	{"org orgs_manage_policies_scps_examples_general (Regions)", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","NotAction":["iam:*","s3:GetAccountPublic*","sts:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-central-1","eu-west-1"]},"ArnNotLike":{"aws:PrincipalARN":["arn:aws:iam::*:role/Bypass"]}}}`, `
		+ ec2:RunInstances * aws:RequestedRegion=eu-west-1 aws:PrincipalArn=` + bob + `
		! ec2:RunInstances * aws:RequestedRegion=us-east-1 aws:PrincipalArn=` + bob + `
		+ ec2:RunInstances * aws:RequestedRegion=us-east-1 aws:PrincipalArn=arn:aws:iam::111122223333:role/Bypass
		+ s3:GetAccountPublicAccessBlock * aws:RequestedRegion=us-east-1 aws:PrincipalArn=` + bob},
	{"org orgs_manage_policies_scps_examples_general (a role)", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["iam:DeleteRole","iam:PutRolePolicy"],"Resource":["arn:aws:iam::*:role/r"],"Condition":{"StringNotLike":{"aws:PrincipalARN":"arn:aws:iam::*:role/admin"}}}`, `
		! iam:DeleteRole arn:aws:iam::111122223333:role/r aws:PrincipalArn=` + bob + `
		+ iam:DeleteRole arn:aws:iam::111122223333:role/r aws:PrincipalArn=arn:aws:iam::111122223333:role/admin
		+ iam:DeleteRole arn:aws:iam::111122223333:role/s aws:PrincipalArn=` + bob},
	{"org orgs_manage_policies_scps_examples_general (root)", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalArn":["arn:aws:iam::*:root"]}}}`, `
		! ec2:RunInstances * aws:PrincipalArn=arn:aws:iam::111122223333:root
		+ ec2:RunInstances * aws:PrincipalArn=` + bob},
	{"org orgs_manage_policies_scps_examples_ec2", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ec2:RunInstances","Resource":["arn:aws:ec2:*:*:instance/*"],"Condition":{"StringNotEquals":{"ec2:InstanceType":"t2.micro"}}}`, `
		+ ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:instance/* ec2:InstanceType=t2.micro
		! ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:instance/* ec2:InstanceType=t2.large
		+ ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:subnet/s`},
	{"org orgs_manage_policies_scps_examples_tagging (required)", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ec2:RunInstances","Resource":["arn:aws:ec2:*:*:instance/*","arn:aws:ec2:*:*:volume/*"],"Condition":{"Null":{"aws:RequestTag/Project":"true"}}}`, `
		! ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:volume/*
		+ ec2:RunInstances arn:aws:ec2:us-east-1:111122223333:volume/* aws:RequestTag/Project=p`},
	{"org orgs_manage_policies_scps_examples_tagging (protected)", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["ec2:CreateTags"],"Resource":["*"],"Condition":{"StringNotEquals":{"ec2:ResourceTag/access-project":"${aws:PrincipalTag/access-project}","aws:PrincipalArn":"arn:aws:iam::123456789012:role/org-admins/iam-admin"},"Null":{"ec2:ResourceTag/access-project":false}}}`, `
		! ec2:CreateTags * ec2:ResourceTag/access-project=a aws:PrincipalTag/access-project=b aws:PrincipalArn=` + bob + `
		! ec2:CreateTags * ec2:ResourceTag/access-project=a aws:PrincipalArn=` + bob + `
		+ ec2:CreateTags * ec2:ResourceTag/access-project=a aws:PrincipalTag/access-project=a aws:PrincipalArn=` + bob + `
		+ ec2:CreateTags * ec2:ResourceTag/access-project=a aws:PrincipalTag/access-project=b aws:PrincipalArn=arn:aws:iam::123456789012:role/org-admins/iam-admin
		+ ec2:CreateTags * aws:PrincipalArn=` + bob},
	{"org orgs_manage_policies_scps_examples_vpc", ServiceControl, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["ec2:AttachInternetGateway","globalaccelerator:Create*"],"Resource":"*"}`, `
		! ec2:AttachInternetGateway *
		! globalaccelerator:CreateAccelerator *
		+ globalaccelerator:ListAccelerators *`},
	{"org orgs_manage_policies_rcps_examples (confused deputy)", ResourceControl, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":["s3:*"],"Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:SourceOrgID":"o-1"},"Null":{"aws:SourceAccount":"false"},"Bool":{"aws:PrincipalIsAWSService":"true"}}}`, `
		+ s3:GetObject ` + vault + `/k aws:PrincipalIsAWSService=false
		! s3:GetObject ` + vault + `/k aws:PrincipalIsAWSService=true aws:SourceAccount=1 aws:SourceOrgID=o-2
		+ s3:GetObject ` + vault + `/k aws:PrincipalIsAWSService=true aws:SourceAccount=1 aws:SourceOrgID=o-1
		+ s3:GetObject ` + vault + `/k aws:PrincipalIsAWSService=true`},
	{"org orgs_manage_policies_rcps_examples (secure transport)", ResourceControl, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":["sts:*","s3:*"],"Resource":"*","Condition":{"BoolIfExists":{"aws:SecureTransport":"false"}}}`, `
		! s3:GetObject ` + vault + `/k aws:SecureTransport=false
		! s3:GetObject ` + vault + `/k
		+ s3:GetObject ` + vault + `/k aws:SecureTransport=true`},
}

// world puts the example where it belongs and allows everything else; NoPolicy is an identity's that denies only.
func (x *documented) world(t *testing.T) (p Policies) {
	p = open()
	doc := []Named{{"example", compiledFrom(t, `{"Version":"2012-10-17","Statement":[`+x.statements+`]}`)}}
	p.Identity = each(t, allow)
	switch x.by {
	case Identity:
		p.Identity = doc
	case NoPolicy:
		p.Identity = append(p.Identity, doc...)
	case Resource:
		p.Resource = doc
	case Trust:
		p.Resource, p.RequiresResource = doc, true
	case Boundary:
		p.Boundary = Restrict(doc)
	case Session:
		p.Session = Restrict(doc)
	case ServiceControl:
		p.ServiceControl = Restrict(doc)
	case ResourceControl:
		p.ResourceControl = Restrict(doc)
	}
	return p
}

func TestTheDocumentationsExamplesDecideAsItsProseSays(t *testing.T) {
	asked := 0
	for _, x := range examples {
		p := x.world(t)
		for line := range strings.Lines(strings.TrimSpace(x.asks)) {
			field := strings.Fields(line)
			r := ask()
			r.Action, r.Resource = field[1], field[2]
			for _, key := range field[3:] {
				name, value, _ := strings.Cut(key, "=")
				r.Context.Set(name, strings.Split(value, ",")...)
			}
			want := map[string]Kind{"+": Allowed, "-": ImplicitDeny, "!": ExplicitDeny}[field[0]]
			if d := Evaluate(&p, r); d.Kind != want {
				t.Errorf("%s: %s: %s by %s", x.page, strings.TrimSpace(line), d.Kind, d.By)
			}
			asked++
		}
	}
	if len(examples) < 60 || asked < 213 {
		t.Errorf("%d examples, %d requests", len(examples), asked)
	}
}
