package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeProfile writes a profile to AWS's two files, replacing one of the same
// name and leaving every other line as it was.
func writeProfile(name string, vars []variable) error {
	if strings.ContainsAny(name, "[]\r\n") {
		return usage(fmt.Errorf("--write-profile %q is no profile name", name))
	}
	value := map[string]string{}
	for _, v := range vars {
		value[v.Name] = v.Value
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return usage(err)
	}
	section := "profile " + name
	if name == "default" {
		section = name
	}
	config := awsFile("AWS_CONFIG_FILE", home, "config")
	err = replaceSection(config, section, []string{"region = " + value["AWS_REGION"], "endpoint_url = " + value["AWS_ENDPOINT_URL"]})
	if err != nil {
		return err
	}
	return replaceSection(awsFile("AWS_SHARED_CREDENTIALS_FILE", home, "credentials"), name, []string{
		"aws_access_key_id = " + value["AWS_ACCESS_KEY_ID"], "aws_secret_access_key = " + value["AWS_SECRET_ACCESS_KEY"]})
}

func awsFile(variable, home, name string) string {
	if path := os.Getenv(variable); path != "" {
		return path
	}
	return filepath.Join(home, ".aws", name)
}

func replaceSection(path, section string, lines []string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	kept := strings.TrimRight(dropSection(string(old), section), "\n")
	if kept != "" {
		kept += "\n\n"
	}
	text := kept + "[" + section + "]\n" + strings.Join(lines, "\n") + "\n"
	tmp := path + ".holdfast"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func dropSection(text, section string) string {
	var kept []string
	dropping := false
	for _, line := range strings.Split(text, "\n") {
		if t := strings.TrimSpace(line); strings.HasPrefix(t, "[") {
			dropping = t == "["+section+"]"
		}
		if !dropping {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}
