package iam

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
)

// What clients ask for before they delete a user or show an account, and what
// nobody has here: the lists are truthfully empty (Terraform's force_destroy
// fails on an unknown action).
func emptyOps() []api.Op {
	return []api.Op{
		read("ListMFADevices", maybeUser[ofUserIn], emptyFor[ofUserIn](func() *mfaOut { return &mfaOut{MFADevices: []mfaDevice{}} })),
		read("ListVirtualMFADevices", anything[virtualMFAIn], func(*api.Call, *virtualMFAIn) (*virtualMFAOut, error) {
			return &virtualMFAOut{VirtualMFADevices: []virtualMFADevice{}}, nil
		}),
		read("ListSSHPublicKeys", maybeUser[ofHeldIn], emptyFor[ofHeldIn](func() *sshOut { return &sshOut{SSHPublicKeys: []sshKey{}} })),
		read("ListSigningCertificates", maybeUser[ofUserIn], emptyFor[ofUserIn](func() *certificatesOut { return &certificatesOut{Certificates: []certificate{}} })),
		read("ListServerCertificates", anything[listIn], func(*api.Call, *listIn) (*serverCertificatesOut, error) {
			return &serverCertificatesOut{ServerCertificateMetadataList: []serverCertificate{}}, nil
		}),
		read("GetLoginProfile", maybeUser[loginIn], noLogin[loginOut]),
		write("DeleteLoginProfile", maybeUser[loginIn], noLogin[api.Nothing]),
		read("GetAccountPasswordPolicy", anything[struct{}], func(c *api.Call, _ *struct{}) (*passwordPolicyOut, error) {
			return nil, fault.NoSuchEntity.Errorf("The Password Policy with domain name %s cannot be found.", c.Account)
		}),
		read("ListOpenIDConnectProviders", anything[struct{}], func(*api.Call, *struct{}) (*oidcOut, error) {
			return &oidcOut{OpenIDConnectProviderList: []provider{}}, nil
		}),
		read("ListSAMLProviders", anything[struct{}], func(*api.Call, *struct{}) (*samlOut, error) {
			return &samlOut{SAMLProviderList: []samlProvider{}}, nil
		}),
	}
}

type ofUserIn struct {
	UserName UserName
	page
}

func (in *ofUserIn) userName() string { return string(in.UserName) }

type ofHeldIn struct {
	UserName NewUserName
	page
}

func (in *ofHeldIn) userName() string { return string(in.UserName) }

type virtualMFAIn struct {
	AssignmentStatus AssignmentStatus
	page
}

type mfaDevice struct {
	UserName     string
	SerialNumber string
	EnableDate   time.Time
}

type mfaOut struct {
	MFADevices []mfaDevice
	paged
}

type virtualMFADevice struct{ SerialNumber string }

type virtualMFAOut struct {
	VirtualMFADevices []virtualMFADevice
	paged
}

type sshKey struct {
	UserName       string
	SSHPublicKeyId string
	Status         string
	UploadDate     time.Time
}

type sshOut struct {
	SSHPublicKeys []sshKey
	paged
}

type certificate struct {
	UserName        string
	CertificateId   string
	CertificateBody string
	Status          string
}

type certificatesOut struct {
	Certificates []certificate
	paged
}

type serverCertificate struct {
	Path                  string
	ServerCertificateName string
	ServerCertificateId   string
	Arn                   string
}

type serverCertificatesOut struct {
	ServerCertificateMetadataList []serverCertificate
	paged
}

type provider struct{ Arn string }

type oidcOut struct{ OpenIDConnectProviderList []provider }

type samlProvider struct {
	Arn        string
	ValidUntil time.Time
	CreateDate time.Time
}

type samlOut struct{ SAMLProviderList []samlProvider }

type passwordPolicyOut struct {
	PasswordPolicy struct{ MinimumPasswordLength int }
}

type loginIn struct{ UserName NewUserName }

func (in *loginIn) userName() string { return string(in.UserName) }

type loginOut struct {
	LoginProfile struct {
		UserName   string
		CreateDate time.Time
	}
}

// emptyFor answers an empty list for a user that exists.
func emptyFor[In, Out any](empty func() *Out) func(*api.Call, *In) (*Out, error) {
	return func(c *api.Call, in *In) (*Out, error) {
		if name := any(in).(userNamed).userName(); name != "" {
			if _, err := findUser(c, name); err != nil {
				return nil, err
			}
		}
		return empty(), nil
	}
}

func noLogin[Out any](c *api.Call, in *loginIn) (*Out, error) {
	u, err := userOr(c, in.userName())
	if err != nil {
		return nil, err
	}
	return nil, fault.NoSuchEntity.Errorf("Login Profile for User %s cannot be found.", u.Name)
}
