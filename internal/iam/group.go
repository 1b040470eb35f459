package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func groupOps() []api.Op {
	return []api.Op{
		write("CreateGroup", newGroup, createGroup),
		read("GetGroup", theGroup[getGroupIn], getGroup),
		write("UpdateGroup", renamedGroup, updateGroup),
		write("DeleteGroup", theGroup[groupIn], deleteGroup),
		read("ListGroups", anything[listIn], listGroups),
		write("AddUserToGroup", theGroup[memberIn], addUserToGroup),
		write("RemoveUserFromGroup", theGroup[memberIn], removeUserFromGroup),
		read("ListGroupsForUser", theUser[groupsForUserIn], listGroupsForUser),
	}
}

// Group is a group on the wire.
type Group struct {
	Path       string
	GroupName  string
	GroupId    string
	Arn        string
	CreateDate time.Time
}

func wireGroup(g *record.Group) Group {
	return Group{g.Path, g.Name, g.ID, groupARN(g), stamp(g.Created)}
}

type groupNamed interface{ groupName() string }

type groupIn struct {
	GroupName GroupName `q:"required"`
}

func (in *groupIn) groupName() string { return string(in.GroupName) }

func theGroup[In any](c *api.Call, in *In) ([]api.Access, error) {
	name := any(in).(groupNamed).groupName()
	g, err := findGroup(c, name)
	if err != nil {
		return one(arnOf(c.Account, "group", "/", name), nil)
	}
	return one(groupARN(g), nil)
}

type createGroupIn struct {
	Path      Path
	GroupName GroupName `q:"required"`
}

func newGroup(c *api.Call, in *createGroupIn) ([]api.Access, error) {
	return one(arnOf(c.Account, "group", orSlash(in.Path), string(in.GroupName)), nil)
}

type groupOut struct{ Group Group }

func createGroup(c *api.Call, in *createGroupIn) (*groupOut, error) {
	if nameTaken(c, record.Groups, record.GroupByName, string(in.GroupName)) {
		return nil, fault.EntityAlreadyExists.Errorf("Group with name %s already exists.", in.GroupName)
	}
	g := &record.Group{Account: c.Account, ID: c.NewID("AGPA"), Name: string(in.GroupName), Path: orSlash(in.Path), Created: record.At(c.Now)}
	return &groupOut{wireGroup(g)}, record.Put(c.Tx, record.Groups, g)
}

type getGroupIn struct {
	GroupName GroupName `q:"required"`
	page
}

func (in *getGroupIn) groupName() string { return string(in.GroupName) }

type getGroupOut struct {
	Group Group
	Users []User
	paged
}

func getGroup(c *api.Call, in *getGroupIn) (*getGroupOut, error) {
	g, err := findGroup(c, string(in.GroupName))
	if err != nil {
		return nil, err
	}
	out := &getGroupOut{Group: wireGroup(g), Users: []User{}}
	out.paged, err = take(c, record.Users, record.UserByGroup, c.Account+record.Sep+g.ID+record.Sep, in.page,
		func(*record.User) bool { return true },
		func(u *record.User) {
			out.Users = append(out.Users, User{Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: userARN(u), CreateDate: stamp(u.Created)})
		})
	return out, err
}

type updateGroupIn struct {
	GroupName    GroupName `q:"required"`
	NewPath      *Path
	NewGroupName *GroupName
}

func (in *updateGroupIn) groupName() string { return string(in.GroupName) }

// renamedGroup is renamedUser for a group.
func renamedGroup(c *api.Call, in *updateGroupIn) ([]api.Access, error) {
	list, err := theGroup(c, in)
	if g, missing := findGroup(c, in.groupName()); missing == nil {
		to := arnOf(c.Account, "group", string(or(in.NewPath, Path(g.Path))), string(or(in.NewGroupName, GroupName(g.Name))))
		list = append(list, api.Access{Resource: to})
	}
	return list, err
}

func updateGroup(c *api.Call, in *updateGroupIn) (*api.Nothing, error) {
	g, err := findGroup(c, string(in.GroupName))
	if err != nil {
		return nil, err
	}
	if n := in.NewGroupName; n != nil {
		if record.Fold(string(*n)) != record.Fold(g.Name) && nameTaken(c, record.Groups, record.GroupByName, string(*n)) {
			return nil, fault.EntityAlreadyExists.Errorf("Group with name %s already exists.", *n)
		}
		g.Name = string(*n)
	}
	if in.NewPath != nil {
		g.Path = orSlash(*in.NewPath)
	}
	return &api.Nothing{}, record.Put(c.Tx, record.Groups, g)
}

func deleteGroup(c *api.Call, in *groupIn) (*api.Nothing, error) {
	g, err := findGroup(c, string(in.GroupName))
	if err != nil {
		return nil, err
	}
	switch {
	case holds(c, record.UserByGroup.Name, c.Account+record.Sep+g.ID+record.Sep):
		return nil, fault.DeleteConflict.Errorf("Cannot delete entity, must remove users from group first.")
	case len(g.Inline) > 0:
		return nil, fault.DeleteConflict.Errorf("Cannot delete entity, must delete policies first.")
	case len(g.Attached) > 0:
		return nil, fault.DeleteConflict.Errorf("Cannot delete entity, must detach all policies first.")
	}
	record.Delete(c.Tx, record.Groups, g)
	return &api.Nothing{}, nil
}

// holds says whether an ordered index has any term with the prefix.
func holds(c *api.Call, index, prefix string) bool {
	found := false
	c.Tx.Range(index, prefix, "", func(string, *record.Entry) bool {
		found = true
		return false
	})
	return found
}

type listGroupsOut struct {
	Groups []Group
	paged
}

func listGroups(c *api.Call, in *listIn) (*listGroupsOut, error) {
	out := &listGroupsOut{Groups: []Group{}}
	p, err := take(c, record.Groups, record.GroupByName, c.Account+record.Sep, in.page,
		func(g *record.Group) bool { return strings.HasPrefix(g.Path, string(in.PathPrefix)) },
		func(g *record.Group) { out.Groups = append(out.Groups, wireGroup(g)) })
	out.paged = p
	return out, err
}

type memberIn struct {
	GroupName GroupName `q:"required"`
	UserName  UserName  `q:"required"`
}

func (in *memberIn) groupName() string { return string(in.GroupName) }

func addUserToGroup(c *api.Call, in *memberIn) (*api.Nothing, error) {
	g, err := findGroup(c, string(in.GroupName))
	if err != nil {
		return nil, err
	}
	u, err := findUser(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	if slices.Contains(u.Groups, g.ID) {
		return &api.Nothing{}, nil
	}
	if len(u.Groups) >= maxGroups {
		return nil, fault.LimitExceeded.Errorf("Cannot exceed quota for GroupsPerUser: %d", maxGroups)
	}
	u.Groups = append(u.Groups, g.ID)
	return &api.Nothing{}, record.Put(c.Tx, record.Users, u)
}

func removeUserFromGroup(c *api.Call, in *memberIn) (*api.Nothing, error) {
	g, err := findGroup(c, string(in.GroupName))
	if err != nil {
		return nil, err
	}
	u, err := findUser(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	i := slices.Index(u.Groups, g.ID)
	if i < 0 {
		return nil, fault.NoSuchEntity.Errorf("User %s is not in group %s.", u.Name, g.Name)
	}
	u.Groups = slices.Delete(u.Groups, i, i+1)
	return &api.Nothing{}, record.Put(c.Tx, record.Users, u)
}

type groupsForUserIn struct {
	UserName UserName `q:"required"`
	page
}

func (in *groupsForUserIn) userName() string { return string(in.UserName) }

func listGroupsForUser(c *api.Call, in *groupsForUserIn) (*listGroupsOut, error) {
	u, err := findUser(c, string(in.UserName))
	if err != nil {
		return nil, err
	}
	ids, p, err := slice(c, u.Groups, in.page)
	if err != nil {
		return nil, err
	}
	out := &listGroupsOut{Groups: []Group{}, paged: p}
	for _, id := range ids {
		g, err := record.Get(c.Tx, record.Groups, c.Account, id)
		if err != nil {
			return nil, err
		}
		out.Groups = append(out.Groups, wireGroup(g))
	}
	return out, nil
}
