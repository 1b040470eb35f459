package policy

func compilePattern(s string, wildcards, withVariables, arn bool) pattern {
	return new(texts).compilePattern(s, wildcards, withVariables, arn)
}
