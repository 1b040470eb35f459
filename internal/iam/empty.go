package iam

import (
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
)

// What clients ask for before they delete a user, and what no user has here:
// the lists are truthfully empty (Terraform's force_destroy fails on an
// unknown action).
func emptyOps() []api.Op {
	return []api.Op{
		read("ListMFADevices", maybeUser[ofUserIn], emptyFor(func() *mfaOut { return &mfaOut{MFADevices: []struct{}{}} })),
		read("ListVirtualMFADevices", anything[pageIn], func(*api.Call, *pageIn) (*virtualMFAOut, error) {
			return &virtualMFAOut{VirtualMFADevices: []struct{}{}}, nil
		}),
		read("ListSSHPublicKeys", maybeUser[ofUserIn], emptyFor(func() *sshOut { return &sshOut{SSHPublicKeys: []struct{}{}} })),
		read("ListSigningCertificates", maybeUser[ofUserIn], emptyFor(func() *certificatesOut { return &certificatesOut{Certificates: []struct{}{}} })),
		read("GetLoginProfile", maybeUser[ofUserIn], noLogin),
		write("DeleteLoginProfile", maybeUser[ofUserIn], noLogin),
		read("ListOpenIDConnectProviders", anything[struct{}], func(*api.Call, *struct{}) (*oidcOut, error) {
			return &oidcOut{OpenIDConnectProviderList: []struct{}{}}, nil
		}),
		read("ListSAMLProviders", anything[struct{}], func(*api.Call, *struct{}) (*samlOut, error) {
			return &samlOut{SAMLProviderList: []struct{}{}}, nil
		}),
	}
}

type ofUserIn struct {
	UserName UserName
	page
}

func (in *ofUserIn) userName() string { return string(in.UserName) }

type mfaOut struct {
	MFADevices []struct{}
	paged
}

type virtualMFAOut struct {
	VirtualMFADevices []struct{}
	paged
}

type sshOut struct {
	SSHPublicKeys []struct{}
	paged
}

type certificatesOut struct {
	Certificates []struct{}
	paged
}

type oidcOut struct{ OpenIDConnectProviderList []struct{} }

type samlOut struct{ SAMLProviderList []struct{} }

// emptyFor answers an empty list for a user that exists.
func emptyFor[Out any](empty func() *Out) func(*api.Call, *ofUserIn) (*Out, error) {
	return func(c *api.Call, in *ofUserIn) (*Out, error) {
		if in.UserName != "" {
			if _, err := findUser(c, string(in.UserName)); err != nil {
				return nil, err
			}
		}
		return empty(), nil
	}
}

func noLogin(c *api.Call, in *ofUserIn) (*api.Nothing, error) {
	u, err := userOr(c, in.userName())
	if err != nil {
		return nil, err
	}
	return nil, fault.NoSuchEntity.Errorf("Login Profile for User %s cannot be found.", u.Name)
}
