package shelf

// Kinds are all sorts of objects that are kept on shelves.
var Kinds = []Kind{
	{Name: "content_set", Noun: "ContentSet", What: "content set", Taken: "ContentSetAlreadyExists"},
	{Name: "content_set_privilege", Noun: "ContentSetPrivilege", What: "privilege", Taken: "ContentSetPrivilegeAlreadyExists"},
	{Name: "content_set_role", Noun: "ContentSetRole", What: "role", Taken: "ContentSetRoleAlreadyExists"},
	// These three are views of what roles, users and user groups say: nothing
	// lies on their shelves.
	{Name: "content_set_role_privilege", Noun: "ContentSetRolePrivilege", What: "privilege of a role"},
	{Name: "content_set_role_membership", Noun: "ContentSetRoleMembership", What: "role membership"},
	{Name: "content_set_user_group_role_membership", Noun: "ContentSetUserGroupRoleMembership", What: "role membership of a user group"},
	{Name: "user", Noun: "User", What: "user", Taken: "UserAlreadyExists"},
	{Name: "user_group", Noun: "UserGroup", What: "user group", Taken: "UserGroupAlreadyExists"},
	{Name: "persona", Noun: "Persona", What: "persona", Taken: "PersonaAlreadyExists"},

	{Name: "group", Noun: "Group", What: "group"},
	{Name: "sensor", Noun: "Sensor", What: "sensor"},
	{Name: "saved_question", Noun: "SavedQuestion", What: "saved question"},
	{Name: "saved_question_copy", Noun: "SavedQuestionCopy", What: "copy of a saved question", Loose: true},
	{Name: "dashboard", Noun: "Dashboard", What: "dashboard"},
	{Name: "dashboard_group", Noun: "DashboardGroup", What: "category"},

	{Name: "package_spec", Noun: "Package", What: "package"},
	{Name: "action", Noun: "Action", What: "action", Loose: true},
	{Name: "action_stop", Noun: "ActionStop", What: "action stop", Loose: true},
	{Name: "action_group", Noun: "ActionGroup", What: "action group", Taken: "GroupNameNotUnique"},
	{Name: "saved_action", Noun: "SavedAction", What: "scheduled action", Loose: true},
	{Name: "saved_action_approval", Noun: "SavedActionApproval", What: "approval", Loose: true},

	{Name: "system_setting", Noun: "SystemSetting", What: "setting"},
	{Name: "local_setting", Noun: "LocalSetting", What: "local setting"},
	{Name: "plugin_schedule", Noun: "PluginSchedule", What: "plugin schedule"},
	{Name: "content_source", Noun: "ContentSource", What: "content"},
	{Name: "solution", Noun: "Solution", What: "solution"},
	{Name: "white_listed_url", Noun: "WhiteListedURL", What: "allowed URL", Loose: true},
	{Name: "server_throttle", Noun: "ServerThrottle", What: "throttle of the server", Loose: true},
	{Name: "site_throttle", Noun: "SiteThrottle", What: "throttle of a site", Loose: true},
	{Name: "ldap_sync_connector", Noun: "LdapSyncConnector", What: "LDAP connector", Taken: "LdapSyncConnectorNameExists"},
	{Name: "oidc_provider", Noun: "OIDCProvider", What: "OpenID Connect provider"},
	{Name: "saml_provider", Noun: "SAMLProvider", What: "SAML provider"},
	{Name: "scim_server", Noun: "SCIMServer", What: "SCIM server", Taken: "SCIMServerAlreadyExists"},
	{Name: "license", Noun: "License", What: "licence", Loose: true},
	{Name: "server_trust", Noun: "ServerTrust", What: "trusted server", Loose: true},
	{Name: "zone_server", Noun: "ZoneServer", What: "zone server"},
	{Name: "server_registration_request", Noun: "ServerRegistrationRequest", What: "registration of a server", Loose: true},
	{Name: "pki_root_key", Noun: "PKIRootKey", What: "root key", Loose: true},
	{Name: "pki_key_configuration", Noun: "PKIKeyConfiguration", What: "sort of keys", Loose: true},
	{Name: "downloader_auth_user", Noun: "DownloaderAuthUser", What: "download user", Loose: true},
	{Name: "downloader_auth_cert", Noun: "DownloaderAuthCert", What: "download certificate", Loose: true},
	{Name: "downloader_trusted_cert", Noun: "DownloaderTrustedCert", What: "trusted download certificate", Loose: true},
}
