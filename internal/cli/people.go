package cli

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// people are the nouns about who there is and what each may do.
var people = []noun{
	{
		name: "user", what: "user", path: "users", short: "Look after the users",
		long: `Users have roles, of their own and by their user groups; a role says what they
may do (docs/rights.md). One who is locked out (locked_out=1) or deleted is out
at once, with all sessions and tokens.`,
		sample: "bob", set: `--set name=bob --set 'content_set_roles:=[{"name":"Operator"}]'`, verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Display Name", "display_name"}, {"Roles", "content_set_roles"}, {"Last Login", "last_login"}, {"Locked Out", "locked_out"}},
		more:    func(_ *noun, d *desk, f *flags) []*cobra.Command { return []*cobra.Command{d.userPassword(f)} },
	},
	{
		name: "user-group", what: "user group", path: "user_groups", short: "Look after the groups of users",
		long: `All members of a user group have its roles. A group of computers (group) adds its
machines to those that they see.`,
		sample: "Night Shift", set: `--set name='Night Shift' --set 'user_list:=[{"name":"bob"}]'`, verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Members", "user_list"}, {"Roles", "content_set_roles"}, {"Machines", "group"}},
	},
	{
		name: "role", what: "role", path: "content_set_roles", short: "Look after the roles",
		long: `A role grants privileges, or denies them (deny_flag=1), in content sets or in all
of them. Nobody can grant what he may not do himself; the roles of category
"reserved" are the same in each installation.`,
		sample: "Package Reader", set: `--set name='Package Reader' --set all_content_sets_flag=1 --set 'content_set_role_privileges:=[{"content_set_privilege":{"name":"Read Package"}}]'`,
		verbs:   canAll,
		columns: [][2]string{{"Name", "name"}, {"Category", "category"}, {"Denies", "deny_flag"}, {"Description", "description"}},
	},
	{
		name: "persona", what: "persona", path: "personas", short: "Look after the personas",
		long: `A persona is a set of roles, and perhaps of machines, that its users can take on
instead of their own.`,
		sample: "Hunter", set: `--set name=Hunter --set 'content_set_role_list:=[{"name":"Security"}]' --set 'user_list:=[{"name":"bob"}]'`,
		verbs: canAll, unnamed: true,
		columns: [][2]string{{"Name", "name"}, {"Roles", "content_set_role_list"}, {"Users", "user_list"}, {"User Groups", "user_group_list"}, {"Machines", "group"}},
	},
}

// userPassword sets somebody's password: never on the command line, where
// others read it.
func (d *desk) userPassword(f *flags) *cobra.Command {
	var fromStdin bool
	users := &noun{name: "user", what: "user", path: "users"}
	cmd := &cobra.Command{
		Use:   "password NAME",
		Short: "Set a user's password",
		Long: `Password asks for a new password and ends all sessions of the user. API tokens
live on.`,
		Example: `  catenary user password bob
  catenary user password bob --password-stdin < password`,
		Args: words(1, 1, "the name or number of a user"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := &dialogue{desk: d, in: cmd.InOrStdin(), out: cmd.ErrOrStderr()}
			_, person := d.terminal(cmd.InOrStdin())
			if !person && !fromStdin {
				return fault.New(fault.Invalid, "standard input is not a terminal: give the password with --password-stdin")
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			u, err := users.find(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			_, password, err := q.credentials(cmd.Context(), &entry{user: args[0], passwordStdin: fromStdin})
			if err != nil {
				return err
			}
			if err := c.call(cmd.Context(), http.MethodPatch, users.route(u), map[string]string{"password": password}, nil); err != nil {
				return fmt.Errorf("password: %w", err)
			}
			users.told(cmd, "Changed the password of", u, u)
			return nil
		},
		ValidArgsFunction: users.complete(d, f),
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	return cmd
}
