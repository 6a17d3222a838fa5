package cli

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
)

// nouns are the kinds of objects that have a command by the name of what they
// are. Whoever adds a kind to the API adds a row.
var nouns = []noun{
	{
		name: "action", what: "action", path: "actions", short: "Look after the actions",
		long: `Actions deploy packages. They are checked and kept now; a later version of
Catenary lets machines run them.`,
		sample: "Clean Up", set: `--set package_spec.name='Clean Up' --set action_group.id=1 --set 'target_group.text=Is Linux equals True'`,
		verbs: canList | canShow | canCreate, unnamed: true,
		columns: [][2]string{{"Name", "name"}, {"Package", "package_spec.name"}, {"Machines", "target_group.text"}, {"Status", "status"}, {"Start", "start_time"}, {"By", "user"}},
		more:    func(_ *noun, d *desk, f *flags) []*cobra.Command { return []*cobra.Command{d.actionStop(f)} },
	},
	{
		name: "group", what: "computer group", path: "groups", short: "Look after the computer groups",
		long: `Computer groups are sets of machines that questions and rights name: those that
meet a condition, or those of a list (manual groups: catenary api computer_groups).`,
		sample: "Penguins", set: `--set name=Penguins --set 'text=Is Linux equals True'`, verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Machines", "text"}, {"Filter", "filter_flag"}, {"Management", "management_rights_flag"}, {"Content Set", "content_set"}},
		more:    func(n *noun, d *desk, f *flags) []*cobra.Command { return []*cobra.Command{d.groupMembers(n, f)} },
	},
	{
		name: "saved-question", what: "saved question", path: "saved_questions", short: "Look after the saved questions",
		long: `Saved questions are asked again and again, as often as issue_seconds says, or
when somebody wants their answer. They are their owner's unless public_flag is set.`,
		sample: "Names", set: `--set name=Names --set 'query_text=Get Computer Name from all machines' --set issue_seconds=3600`, verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Question", "query_text"}, {"Each", "issue_seconds"}, {"Public", "public_flag"}, {"Owner", "user"}, {"Content Set", "content_set"}},
		more: func(n *noun, d *desk, f *flags) []*cobra.Command {
			return []*cobra.Command{d.savedAnswers(n, f), d.savedHistory(n, f), d.savedExport(n, f)}
		},
	},
	{
		name: "setting", what: "system setting", path: "system_settings", short: "Look after the system settings",
		long: `System settings say how the installation works. What each is for, and its
default, stands in docs/operations.md.`,
		sample: "session_expiration_seconds", set: "--set name=my_setting --set value=7", verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Value", "value"}, {"Default", "default_value"}, {"Type", "value_type"}},
	},
	{
		name: "zone-server", what: "zone server", path: "zone_servers", short: "Look after the zone servers",
		long: `Zone servers stand in front of the installation. They are kept and checked now;
a later version of Catenary acts on them.`,
		sample: "dmz", set: "--set name=dmz --set hub=1", verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Hub", "hub"}},
	},
	{
		name: "package", what: "package", path: "packages", short: "Look after the packages",
		sample: "Clean Up", set: "--set name='Clean Up' --set command='sh clean.sh'", verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Command", "command"}, {"Content Set", "content_set"}},
	},
	{
		name: "token", what: "API token", path: "api_tokens", short: "Look after your API tokens",
		long: `An API token lets a program act as you, from the addresses that it trusts, until
it ends. Its string is printed once, when it is made.`,
		sample: "nightly", set: "--set name=nightly --set expire_in_days=30", verbs: canList | canShow | canCreate | canDelete, unnamed: true,
		columns: [][2]string{{"Name", "name"}, {"Expires", "expiration"}, {"Last Used", "last_used_on"}, {"From", "trusted_ip_addresses"}, {"Persona", "persona"}},
	},
	{
		name: "ldap-connector", what: "LDAP connector", path: "ldap_sync_connectors", short: "Look after the LDAP directories that people sign in with",
		long:   `Users and user groups of a directory become Catenary's (docs/signin.md).`,
		sample: "corp", set: "--set name=corp --set host=ldap.example.org --set port=636 --set secure=true --set users_base=ou=people,dc=example,dc=org", verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Host", "host"}, {"Enabled", "enable"}, {"Last Sync", "last_sync_timestamp"}, {"Result", "last_sync_result"}},
	},
	{
		name: "oidc-provider", what: "OpenID Connect provider", path: "oidc_providers", short: "Look after the OpenID Connect providers",
		sample: "corp", set: "--set name=corp --set enabled=true --set issuer=https://id.example.org --set client_id=catenary", verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Issuer", "issuer"}, {"Client", "client_id"}, {"Enabled", "enabled"}},
	},
	{
		name: "saml-provider", what: "SAML provider", path: "saml_providers", short: "Look after the SAML providers that people sign in with",
		sample: "corp", set: "--set name=corp --set enabled=true --file metadata.json", verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Users", "name_attribute"}, {"Groups", "group_attribute"}, {"Enabled", "enabled"}},
	},
	{
		name: "scim-server", what: "SCIM server", path: "scim_servers", short: "Look after the products that provision users by SCIM",
		long:   `Its token is printed once, when the server is made.`,
		sample: "okta", set: "--set name=okta", verbs: canAll, unnamed: true,
		columns: [][2]string{{"Name", "name"}, {"Enabled", "enabled"}, {"Expires", "expiration"}, {"Last Used", "last_used_on"}},
	},
}

func (d *desk) actionStop(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:     "stop ID",
		Short:   "Stop one action",
		Example: "  catenary action stop 7",
		Args:    words(1, 1, "one number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil {
				return UsageError(cmd, fmt.Errorf("%q is not the number of an action", args[0]))
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/v2/action_stops", map[string]any{"action": map[string]uint64{"id": id}}, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Stopped the action %d.\n", id)
			return nil
		},
	}
}
