package lint

import "strings"

// path is a way to gain privileges: actions that do it together. Each follows
// from what AWS documents of its actions; the words say what is gained.
type path struct {
	actions  []string
	services []string // that a role is passed to
	self     bool     // the caller's own user is enough
	gain     string
}

const passRole = "iam:PassRole"

// String names the path and what it gains.
func (p path) String() string { return strings.Join(p.actions, " + ") + " (" + p.gain + ")" }

// byIAM changes what somebody may do, or who one is.
func byIAM(gain string, actions ...string) path { return path{actions: actions, gain: gain} }

// oneself is byIAM for actions that are enough on the caller's own user.
func oneself(gain string, actions ...string) path {
	return path{actions: actions, gain: gain, self: true}
}

// passing has a service run code, or act, with a role that the caller chooses.
func passing(service string, actions ...string) path {
	return path{actions: append([]string{passRole}, actions...), services: strings.Fields(service), gain: "act with any role that trusts " + strings.Fields(service)[0]}
}

// reusing has something that runs already do what the caller wants, with the
// role that it has.
func reusing(what string, actions ...string) path {
	return path{actions: actions, gain: "act with the role of " + what}
}

// paths is all of them (IAM API Reference; IAM User Guide, "Grant a user
// permissions to pass a role to an AWS service"; the services' own guides).
var paths = []path{
	byIAM("write a new version of a policy in use", "iam:CreatePolicyVersion"),
	byIAM("go back to a wider version of a policy", "iam:SetDefaultPolicyVersion"),
	oneself("attach any policy to oneself", "iam:AttachUserPolicy"),
	byIAM("attach any policy to one's group", "iam:AttachGroupPolicy"),
	byIAM("attach any policy to one's role", "iam:AttachRolePolicy"),
	oneself("write oneself a policy", "iam:PutUserPolicy"),
	byIAM("write one's group a policy", "iam:PutGroupPolicy"),
	byIAM("write one's role a policy", "iam:PutRolePolicy"),
	byIAM("join a group that may do more", "iam:AddUserToGroup"),
	byIAM("let oneself assume any role", "iam:UpdateAssumeRolePolicy"),
	byIAM("make keys of another user", "iam:CreateAccessKey"),
	byIAM("give another user a password", "iam:CreateLoginProfile"),
	byIAM("change another user's password", "iam:UpdateLoginProfile"),
	byIAM("sign in as anybody whom the provider vouches for", "iam:UpdateSAMLProvider"),
	oneself("drop one's permissions boundary", "iam:DeleteUserPermissionsBoundary"),
	byIAM("drop a role's permissions boundary", "iam:DeleteRolePermissionsBoundary"),
	oneself("widen one's permissions boundary", "iam:PutUserPermissionsBoundary"),
	byIAM("widen a role's permissions boundary", "iam:PutRolePermissionsBoundary"),
	byIAM("assume any role that trusts the account", "sts:AssumeRole"),
	byIAM("assign oneself any permission set", "sso:CreateAccountAssignment"),
	byIAM("write one's permission set a policy", "sso:PutInlinePolicyToPermissionSet", "sso:ProvisionPermissionSet"),
	byIAM("attach any policy to one's permission set", "sso:AttachManagedPolicyToPermissionSet", "sso:ProvisionPermissionSet"),
	byIAM("join a group that may do more", "identitystore:CreateGroupMembership"),

	passing("ec2.amazonaws.com", "ec2:RunInstances"),
	passing("ec2.amazonaws.com", "ec2:RequestSpotInstances"),
	passing("ec2.amazonaws.com", "ec2:AssociateIamInstanceProfile"),
	passing("ec2.amazonaws.com", "ec2:ReplaceIamInstanceProfileAssociation"),
	passing("ec2.amazonaws.com", "ec2:CreateLaunchTemplate", "autoscaling:CreateAutoScalingGroup"),
	passing("ec2.amazonaws.com", "autoscaling:CreateLaunchConfiguration", "autoscaling:CreateAutoScalingGroup"),
	passing("lambda.amazonaws.com", "lambda:CreateFunction", "lambda:InvokeFunction"),
	passing("lambda.amazonaws.com", "lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
	passing("lambda.amazonaws.com", "lambda:CreateFunction", "lambda:AddPermission"),
	passing("glue.amazonaws.com", "glue:CreateDevEndpoint"),
	passing("glue.amazonaws.com", "glue:CreateJob", "glue:StartJobRun"),
	passing("glue.amazonaws.com", "glue:CreateJob", "glue:CreateTrigger"),
	passing("glue.amazonaws.com", "glue:UpdateJob", "glue:StartJobRun"),
	passing("glue.amazonaws.com", "glue:CreateSession", "glue:RunStatement"),
	passing("cloudformation.amazonaws.com", "cloudformation:CreateStack"),
	passing("cloudformation.amazonaws.com", "cloudformation:UpdateStack"),
	passing("cloudformation.amazonaws.com", "cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
	passing("cloudformation.amazonaws.com", "cloudformation:CreateStackSet", "cloudformation:CreateStackInstances"),
	passing("datapipeline.amazonaws.com ec2.amazonaws.com", "datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition", "datapipeline:ActivatePipeline"),
	passing("sagemaker.amazonaws.com", "sagemaker:CreateNotebookInstance", "sagemaker:CreatePresignedNotebookInstanceUrl"),
	passing("sagemaker.amazonaws.com", "sagemaker:CreateTrainingJob"),
	passing("sagemaker.amazonaws.com", "sagemaker:CreateProcessingJob"),
	passing("codebuild.amazonaws.com", "codebuild:CreateProject", "codebuild:StartBuild"),
	passing("codebuild.amazonaws.com", "codebuild:UpdateProject", "codebuild:StartBuild"),
	passing("codestar.amazonaws.com", "codestar:CreateProject"),
	passing("ecs-tasks.amazonaws.com", "ecs:RegisterTaskDefinition", "ecs:RunTask"),
	passing("ecs-tasks.amazonaws.com", "ecs:RegisterTaskDefinition", "ecs:StartTask"),
	passing("ecs-tasks.amazonaws.com", "ecs:RegisterTaskDefinition", "ecs:CreateService"),
	passing("ecs-tasks.amazonaws.com", "batch:RegisterJobDefinition", "batch:SubmitJob"),
	passing("states.amazonaws.com", "states:CreateStateMachine", "states:StartExecution"),
	passing("ssm.amazonaws.com", "ssm:StartAutomationExecution"),
	passing("scheduler.amazonaws.com", "scheduler:CreateSchedule"),
	passing("elasticmapreduce.amazonaws.com ec2.amazonaws.com", "elasticmapreduce:RunJobFlow"),
	passing("emr-serverless.amazonaws.com", "emr-serverless:CreateApplication", "emr-serverless:StartJobRun"),
	passing("tasks.apprunner.amazonaws.com", "apprunner:CreateService"),
	passing("bedrock-agentcore.amazonaws.com", "bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"),
	passing("cognito-identity.amazonaws.com", "cognito-identity:SetIdentityPoolRoles"),

	reusing("any function", "lambda:UpdateFunctionCode"),
	reusing("any function, through a layer", "lambda:UpdateFunctionConfiguration"),
	reusing("any development endpoint", "glue:UpdateDevEndpoint"),
	reusing("any stack", "cloudformation:UpdateStack"),
	reusing("any notebook", "sagemaker:CreatePresignedNotebookInstanceUrl"),
	reusing("any build project, by overriding its build", "codebuild:StartBuild"),
	reusing("any state machine", "states:UpdateStateMachine", "states:StartExecution"),
	reusing("any instance", "ssm:SendCommand"),
	reusing("any instance", "ssm:StartSession"),
	reusing("any instance", "ec2-instance-connect:SendSSHPublicKey"),
	reusing("any instance, by its user data", "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:StartInstances"),
	reusing("any task", "ecs:ExecuteCommand"),
}
