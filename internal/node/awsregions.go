package node

import "slices"

// awsOptIn lists the Regions that AWS's accounts must enable: all that it opened
// after 2019-03-20 (AWS Account Management, "Enable or disable AWS Regions in your
// account").
var awsOptIn = []string{"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
	"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1",
	"me-south-1", "mx-central-1"}

// optInAmong are the opt-in Regions of a development deployment: those that AWS
// calls so, but never the first, which every account has.
func optInAmong(regions []string) (list []string) {
	for i, name := range regions {
		if i > 0 && slices.Contains(awsOptIn, name) {
			list = append(list, name)
		}
	}
	return list
}
