package signin

import "slices"

// An Identity is what a provider has said of somebody who has signed in there.
type Identity struct {
	Subject     string // never given to anybody else by this provider
	Name        string // what the user is called
	DisplayName string
	Groups      []string // sorted
}

const groupsMost = 2000 // of one person; more are not looked at

// settled puts the groups in order and cuts what cannot be a name.
func (i Identity) settled() Identity {
	i.DisplayName = printable(i.DisplayName)
	i.Groups = slices.DeleteFunc(slices.Clone(i.Groups[:min(len(i.Groups), groupsMost)]), func(g string) bool { return !isName(g) })
	slices.Sort(i.Groups)
	i.Groups = slices.Compact(i.Groups)
	return i
}
