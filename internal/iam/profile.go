package iam

import (
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func profileOps() []api.Op {
	return []api.Op{
		write("CreateInstanceProfile", newProfile, createInstanceProfile),
		read("GetInstanceProfile", theProfile[profileIn], getInstanceProfile),
		write("DeleteInstanceProfile", theProfile[profileIn], deleteInstanceProfile),
		read("ListInstanceProfiles", anything[listIn], listInstanceProfiles),
		read("ListInstanceProfilesForRole", theRole[profilesForRoleIn], listInstanceProfilesForRole),
		write("AddRoleToInstanceProfile", passing, addRoleToInstanceProfile),
		write("RemoveRoleFromInstanceProfile", theProfile[profileRoleIn], removeRoleFromInstanceProfile),
	}
}

// InstanceProfile is an instance profile on the wire.
type InstanceProfile struct {
	Path                string
	InstanceProfileName string
	InstanceProfileId   string
	Arn                 string
	CreateDate          time.Time
	Roles               []Role
	Tags                []Tag `q:"omitempty"`
}

func wireProfile(c *api.Call, p *record.InstanceProfile, full bool) (InstanceProfile, error) {
	w := InstanceProfile{Path: p.Path, InstanceProfileName: p.Name, InstanceProfileId: p.ID, Arn: profileARN(p), CreateDate: stamp(p.Created), Roles: []Role{}}
	if full {
		w.Tags = wireTags(p.Tags)
	}
	if p.Role == "" {
		return w, nil
	}
	r, err := record.Get(c.Tx, record.Roles, p.Account, p.Role)
	if err != nil {
		return w, err
	}
	role, err := wireRole(c, r, false)
	w.Roles = append(w.Roles, role)
	return w, err
}

type profileNamed interface{ profileName() string }

type profileIn struct {
	InstanceProfileName ProfileName `q:"required"`
}

func (in *profileIn) profileName() string { return string(in.InstanceProfileName) }

func theProfile[In any](c *api.Call, in *In) ([]api.Access, error) {
	name := any(in).(profileNamed).profileName()
	p, err := findProfile(c, name)
	if err != nil {
		return one(arnOf(c.Account, "instance-profile", "/", name), nil)
	}
	return one(profileARN(p), tagContext(nil, p.Tags))
}

type createProfileIn struct {
	InstanceProfileName ProfileName `q:"required"`
	Path                Path
	Tags                Tags
}

func newProfile(c *api.Call, in *createProfileIn) ([]api.Access, error) {
	return created(arnOf(c.Account, "instance-profile", orSlash(in.Path), string(in.InstanceProfileName)), tagContext(in.Tags, nil), in.Tags, "iam:TagInstanceProfile")
}

type profileOut struct{ InstanceProfile InstanceProfile }

func createInstanceProfile(c *api.Call, in *createProfileIn) (*profileOut, error) {
	if nameTaken(c, record.InstanceProfiles, record.ProfileByName, string(in.InstanceProfileName)) {
		return nil, fault.EntityAlreadyExists.Errorf("Instance Profile %s already exists.", in.InstanceProfileName)
	}
	tags, err := addTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	p := &record.InstanceProfile{Account: c.Account, ID: c.NewID("AIPA"), Name: string(in.InstanceProfileName), Path: orSlash(in.Path), Created: record.At(c.Now), Tags: tags}
	if err := record.Put(c.Tx, record.InstanceProfiles, p); err != nil {
		return nil, err
	}
	w, err := wireProfile(c, p, true)
	return &profileOut{w}, err
}

func getInstanceProfile(c *api.Call, in *profileIn) (*profileOut, error) {
	p, err := findProfile(c, string(in.InstanceProfileName))
	if err != nil {
		return nil, err
	}
	w, err := wireProfile(c, p, true)
	return &profileOut{w}, err
}

func deleteInstanceProfile(c *api.Call, in *profileIn) (*api.Nothing, error) {
	p, err := findProfile(c, string(in.InstanceProfileName))
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, fault.DeleteConflict.Errorf("Cannot delete entity, must remove roles from instance profile first.")
	}
	record.Delete(c.Tx, record.InstanceProfiles, p)
	return &api.Nothing{}, nil
}

type listProfilesOut struct {
	InstanceProfiles []InstanceProfile
	paged
}

func (out *listProfilesOut) collect(c *api.Call, ix *record.Index[record.InstanceProfile], prefix string, p page, keep func(*record.InstanceProfile) bool) error {
	out.InstanceProfiles = []InstanceProfile{}
	var failed error
	next, err := take(c, record.InstanceProfiles, ix, prefix, p, keep, func(x *record.InstanceProfile) {
		w, err := wireProfile(c, x, false)
		if err != nil {
			failed = err
		}
		out.InstanceProfiles = append(out.InstanceProfiles, w)
	})
	out.paged = next
	if err == nil {
		err = failed
	}
	return err
}

func listInstanceProfiles(c *api.Call, in *listIn) (*listProfilesOut, error) {
	out := &listProfilesOut{}
	return out, out.collect(c, record.ProfileByName, c.Account+record.Sep, in.page,
		func(p *record.InstanceProfile) bool { return strings.HasPrefix(p.Path, string(in.PathPrefix)) })
}

type profilesForRoleIn struct {
	roleIn
	page
}

func listInstanceProfilesForRole(c *api.Call, in *profilesForRoleIn) (*listProfilesOut, error) {
	r, err := findRole(c, in.roleName())
	if err != nil {
		return nil, err
	}
	out := &listProfilesOut{}
	return out, out.collect(c, record.ProfileByRole, c.Account+record.Sep+r.ID+record.Sep, in.page, func(*record.InstanceProfile) bool { return true })
}

type profileRoleIn struct {
	profileIn
	RoleName RoleName `q:"required"`
}

// passing asks for the profile, and for iam:PassRole on the role.
func passing(c *api.Call, in *profileRoleIn) ([]api.Access, error) {
	list, err := theProfile(c, in)
	if err != nil {
		return nil, err
	}
	role, err := roleAccess(c, string(in.RoleName), nil)
	for i := range role {
		role[i].Action = "iam:PassRole"
		role[i].Context["iam:PassedToService"] = []string{"ec2.amazonaws.com"}
	}
	return append(list, role...), err
}

func addRoleToInstanceProfile(c *api.Call, in *profileRoleIn) (*api.Nothing, error) {
	p, err := findProfile(c, in.profileName())
	if err != nil {
		return nil, err
	}
	r, err := findRole(c, string(in.RoleName))
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, fault.LimitExceeded.Errorf("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
	}
	p.Role = r.ID
	return &api.Nothing{}, record.Put(c.Tx, record.InstanceProfiles, p)
}

func removeRoleFromInstanceProfile(c *api.Call, in *profileRoleIn) (*api.Nothing, error) {
	p, err := findProfile(c, in.profileName())
	if err != nil {
		return nil, err
	}
	r, err := findRole(c, string(in.RoleName))
	if err != nil {
		return nil, err
	}
	if p.Role != r.ID {
		return nil, fault.NoSuchEntity.Errorf("Role %s in Instance Profile %s cannot be found.", r.Name, p.Name)
	}
	p.Role = ""
	return &api.Nothing{}, record.Put(c.Tx, record.InstanceProfiles, p)
}
