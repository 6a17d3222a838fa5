// Package rights says who may do what: privileges, which roles grant and deny
// within content sets, and on which machines.
//
// It is asked at one place only, the API's edge, and knows nothing of requests.
// What somebody may do is worked out once from roles, and is a value that does
// not change afterwards.
package rights

import (
	"maps"
	"slices"
)

// A Privilege is one thing that somebody may do.
type Privilege uint8

// The privileges. Those up to lastInSet are held within content sets, the
// others for the whole installation.
const (
	None Privilege = iota // of routes that ask for a session only

	ReadSensor
	WriteSensor
	ReadPackage
	WritePackage
	ReadSavedQuestion
	WriteSavedQuestion
	ReadFilterGroup
	WriteFilterGroup
	ReadDashboard
	WriteDashboard
	ReadAction
	WriteAction
	ApproveAction
	ReadPlugin
	ExecutePlugin

	AskDynamicQuestion
	ReadQuestionHistory
	ReadComputerGroup
	WriteComputerGroup
	ReadActionGroup
	WriteActionGroup
	BypassActionApproval
	ReadUser
	WriteUser
	ReadUserGroup
	WriteUserGroup
	ReadPersona
	WritePersona
	ReadRole
	WriteRole
	ReadContentSet
	WriteContentSet
	ReadToken
	WriteToken // of others; everybody has tokens of his own
	ReadSettings
	WriteSettings
	ReadSystemStatus
	ReadServerStatus
	ReadSubnets
	WriteSubnets
	ReadThrottles
	WriteThrottles
	ReadAllowedURLs
	WriteAllowedURLs
	ReadAudit
	ExportContent
	ImportContent
	ReadKeys       // with them machines enrol
	ReadConnectors // sign-in from elsewhere: LDAP, SAML, OIDC, SCIM
	WriteConnectors
	WriteTrust // zone servers, hubs, other servers

	end
)

const lastInSet = ExecutePlugin

var names = map[Privilege]string{
	ReadSensor: "Read Sensor", WriteSensor: "Write Sensor", ReadPackage: "Read Package", WritePackage: "Write Package",
	ReadSavedQuestion: "Read Saved Question", WriteSavedQuestion: "Write Saved Question",
	ReadFilterGroup: "Read Filter Group", WriteFilterGroup: "Write Filter Group",
	ReadDashboard: "Read Dashboard", WriteDashboard: "Write Dashboard",
	ReadAction: "Read Action", WriteAction: "Write Action", ApproveAction: "Approve Action",
	ReadPlugin: "Read Plugin", ExecutePlugin: "Execute Plugin",
	AskDynamicQuestion: "Ask Dynamic Question", ReadQuestionHistory: "Read Question History",
	ReadComputerGroup: "Read Computer Group", WriteComputerGroup: "Write Computer Group",
	ReadActionGroup: "Read Action Group", WriteActionGroup: "Write Action Group", BypassActionApproval: "Bypass Action Approval",
	ReadUser: "Read User", WriteUser: "Write User", ReadUserGroup: "Read User Group", WriteUserGroup: "Write User Group",
	ReadPersona: "Read Persona", WritePersona: "Write Persona", ReadRole: "Read Role", WriteRole: "Write Role",
	ReadContentSet: "Read Content Set", WriteContentSet: "Write Content Set",
	ReadToken: "Read API Token", WriteToken: "Write API Token",
	ReadSettings: "Read Settings", WriteSettings: "Write Settings",
	ReadSystemStatus: "Read System Status", ReadServerStatus: "Read Server Status",
	ReadSubnets: "Read Subnets", WriteSubnets: "Write Subnets", ReadThrottles: "Read Throttles", WriteThrottles: "Write Throttles",
	ReadAllowedURLs: "Read Allowed URLs", WriteAllowedURLs: "Write Allowed URLs",
	ReadAudit: "Read Audit", ExportContent: "Export Content", ImportContent: "Import Content",
	ReadKeys: "Read Keys", ReadConnectors: "Read Connectors", WriteConnectors: "Write Connectors",
	WriteTrust: "Write Trust",
}

func (p Privilege) String() string { return names[p] }

// InSet reports whether the privilege is held within content sets.
func (p Privilege) InSet() bool { return p != None && p <= lastInSet }

// All are all privileges.
func All() []Privilege {
	out := make([]Privilege, 0, end-1)
	for p := None + 1; p < end; p++ {
		out = append(out, p)
	}
	return out
}

// Parse finds a privilege by its name.
func Parse(name string) (Privilege, bool) {
	for p, n := range names {
		if n == name {
			return p, true
		}
	}
	return None, false
}

// Everywhere is the content set that stands for all.
const Everywhere int64 = 0

// A Grant is a privilege within a content set, or Everywhere; privileges that
// are not held within content sets are Everywhere.
type Grant struct {
	Privilege Privilege
	Set       int64
}

// A Role allows its grants, or denies them. What any role denies, no other
// allows.
type Role struct {
	Deny   bool
	Grants []Grant
}

// Rights are what somebody may do. The zero Rights allow nothing.
type Rights struct {
	allowed map[Grant]bool
	denied  map[Grant]bool
	// Groups are the computer groups within which machines may be seen and
	// changed; nil, and not only empty: all machines.
	Groups []int64
	// Anything says that nothing is denied, ever: for Catenary itself and its
	// administrators.
	Anything bool
}

// Of works out the rights from roles.
func Of(roles []Role, groups []int64) Rights {
	r := Rights{allowed: map[Grant]bool{}, denied: map[Grant]bool{}, Groups: slices.Clone(groups)}
	for _, role := range roles {
		to := r.allowed
		if role.Deny {
			to = r.denied
		}
		for _, g := range role.Grants {
			if !g.Privilege.InSet() {
				g.Set = Everywhere
			}
			to[g] = true
		}
	}
	return r
}

// May reports whether p is allowed within a content set; of privileges that are
// not held within sets, whether it is at all.
func (r Rights) May(p Privilege, set int64) bool {
	if p == None || r.Anything {
		return true
	}
	if !p.InSet() {
		set = Everywhere
	}
	if r.denied[Grant{p, Everywhere}] || r.denied[Grant{p, set}] {
		return false
	}
	return r.allowed[Grant{p, Everywhere}] || r.allowed[Grant{p, set}]
}

// Equal reports whether r and o are the same rights.
func (r Rights) Equal(o Rights) bool {
	return r.Anything == o.Anything && (r.Groups == nil) == (o.Groups == nil) && slices.Equal(r.Groups, o.Groups) &&
		maps.Equal(r.allowed, o.allowed) && maps.Equal(r.denied, o.denied)
}

// MayAnywhere reports whether p is allowed within at least one content set.
func (r Rights) MayAnywhere(p Privilege) bool {
	if r.May(p, Everywhere) {
		return true
	}
	for g := range r.allowed {
		if g.Privilege == p && r.May(p, g.Set) {
			return true
		}
	}
	return false
}

// Within reports whether everything that r allows, on every machine that it
// allows it on, some of the others allow there, too. It is how nobody gives
// away more than there is.
func (r Rights) Within(others ...Rights) bool {
	if slices.ContainsFunc(others, func(o Rights) bool { return o.Anything }) {
		return true
	}
	if r.Anything {
		return false
	}
	for _, p := range All() {
		for _, set := range r.sets(p, others) {
			if r.May(p, set) && !r.machinesWithin(p, set, others) {
				return false
			}
		}
	}
	return true
}

// elsewhere stands for every content set that no role names.
const elsewhere int64 = -1

// sets are the content sets between which rights may differ about p.
func (r Rights) sets(p Privilege, others []Rights) []int64 {
	out := []int64{elsewhere}
	for _, o := range append([]Rights{r}, others...) {
		for _, grants := range []map[Grant]bool{o.allowed, o.denied} {
			for g := range grants {
				if g.Privilege == p && g.Set != Everywhere && !slices.Contains(out, g.Set) {
					out = append(out, g.Set)
				}
			}
		}
	}
	return out
}

// machinesWithin reports whether those of the others that allow p within a
// content set reach all machines that r reaches.
func (r Rights) machinesWithin(p Privilege, set int64, others []Rights) bool {
	var reached []int64
	any := false
	for _, o := range others {
		if !o.May(p, set) {
			continue
		}
		if o.Groups == nil {
			return true
		}
		any = true
		reached = append(reached, o.Groups...)
	}
	return any && r.Groups != nil && !slices.ContainsFunc(r.Groups, func(id int64) bool { return !slices.Contains(reached, id) })
}
