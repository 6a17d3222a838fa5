package probe

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/fault"
)

func TestPackagesAreWhatDebianSays(t *testing.T) {
	compareAll(t, newProbe(), []comparison{
		{"Application Count", nil, nil, shell(`dpkg-query -W -f '${db:Status-Status} ${Package} ${Version} ${Architecture}\n' | grep -c '^installed '`)},
		{"Application Installed", []string{"DPKG"}, nil, shell(`dpkg-query -W dpkg >/dev/null && echo True`)},
		{"Application Installed", []string{"no such package"}, nil, shell(`dpkg-query -W no-such-package >/dev/null 2>&1 || echo False`)},
		{"Application Version", []string{"libc?*"}, nil, shell(`dpkg-query -W -f '${db:Status-Status} ${Package}|${Version}\n' 'libc?*' | sed -n 's/^installed //p'`)},
		{"Package Sizes", nil, nil, shell(`dpkg-query -W -f '${db:Status-Status} ${Package}|${Installed-Size}|${Section}\n' | sed -n 's/^installed //p'`)},
		{"Held Packages", nil, nil, shell(`dpkg --get-selections | awk '$2 == "hold" { sub(":.*", "", $1); print $1 }'`)},
		{"Broken Packages", nil, []int{0}, shell(`dpkg-query -W -f '${Package} ${db:Status-Status} ${db:Status-Eflag}\n' | awk '$2 !~ /^(installed|config-files|not-installed|triggers-.*)$/ || $3 != "ok" { print $1 }'`)},
		{"Package of File", []string{"/usr/bin/dpkg"}, nil, shell(`dpkg -S /usr/bin/dpkg | cut -d: -f1`)},
		{"Package of File", []string{"/usr/bin/sh"}, nil, shell(`dpkg -S /bin/sh | grep -v ^diversion | cut -d: -f1`)},
		{"Package of File", []string{"/usr/share/doc"}, nil, shell(`dpkg -S /usr/share/doc | sed 's/: .*//' | tr ',' '\n' | sed 's/^ //; s/:.*//'`)},
		{"Package of File", []string{"/no/such/file"}, nil, shell(`true`)},
		{"Package Repositories", nil, []int{0, 1, 2}, shell(`for k in deb deb-src; do apt-get indextargets --format '$(CREATED_BY)|$(REPO_URI)|$(RELEASE)' | sort -u; done | sed 's/^Packages|/deb|/; s/^Sources|/deb-src|/' | grep -E '^deb(-src)?[|]' | sed 's#/|#|#' | sort -u`)},
		{"Alternatives", nil, nil, shell(`update-alternatives --get-selections | awk '{ print $1 "|" $2 "|" $3 }'`)},
		{"Python Packages", nil, []int{0, 1}, python("import importlib.metadata as m, glob\nfor d in m.distributions(path=[p for x in ('/usr/lib/python3*/dist-packages', '/usr/lib/python3*/site-packages', '/usr/local/lib/python3*/dist-packages', '/usr/local/lib/python3*/site-packages') for p in glob.glob(x)]): print(d.metadata['Name'] + '|' + (d.version or ''))")},
		{"Node Packages", nil, []int{0, 1}, shell(`for f in /usr/lib/node_modules /usr/local/lib/node_modules /usr/share/nodejs; do for p in $f/*/package.json $f/@*/*/package.json; do [ -e "$p" ] && python3 -c "import json, sys; d = json.load(open(sys.argv[1])); 'name' in d and print(d['name'] + '|' + d.get('version', ''))" "$p"; done; done; true`)},
		{"Package History", nil, []int{1, 2}, shell(`cat /var/log/dpkg.log.1 /var/log/dpkg.log 2>/dev/null | awk 'NF == 6 && $3 ~ /^(install|upgrade|remove|purge)$/ { sub(":.*", "", $4); print $3 "|" $4 }' | tail -1000`)},
	})
}

// updatable is a machine with lists of packages, two of which it takes by
// itself.
func updatable() files {
	offer := func(name, version, architecture string) string {
		return "Package: " + name + "\nArchitecture: " + architecture + "\nVersion: " + version + "\nFilename: pool/x.deb\nSize: 1\nSHA256: " + strings.Repeat("0", 64) + "\nDescription: x\n\n"
	}
	installed := func(name, version, architecture string) string {
		return "Package: " + name + "\nStatus: install ok installed\nArchitecture: " + architecture + "\nMaintainer: x\nVersion: " + version + "\nDescription: x\n\n"
	}
	release := func(label, suite, more string) string {
		return "Origin: Debian\nLabel: " + label + "\nSuite: " + suite + "\nCodename: " + suite + "\nDate: Sat, 21 Nov 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\n" + more
	}
	const lists = "var/lib/apt/lists/"
	return files{
		"var/lib/dpkg/status": installed("old", "1:1.0-1", "amd64") + installed("same", "2.0", "amd64") + installed("newer", "3.0+local", "amd64") +
			installed("all", "1.0~rc1", "all") + installed("patched", "1.0-1", "amd64") + installed("trial", "1.0", "amd64") +
			"Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n",
		lists + "deb.example_debian_dists_stable_InRelease":                         release("Debian", "stable", ""),
		lists + "deb.example_debian_dists_stable_main_binary-amd64_Packages":        offer("old", "1:1.0-2", "amd64") + offer("old", "1:1.0-1+b1", "amd64") + offer("same", "2.0", "amd64") + offer("newer", "2.9", "amd64") + offer("all", "1.0", "all") + offer("unheard", "9", "amd64") + offer("gone", "2", "amd64") + offer("patched", "1.0-1", "amd64") + offer("trial", "1.0", "amd64"),
		lists + "security.example_dists_stable-security_InRelease":                  release("Debian-Security", "stable-security", ""),
		lists + "security.example_dists_stable-security_main_binary-amd64_Packages": offer("patched", "1.0-1+deb12u1", "amd64"),
		lists + "deb.example_debian_dists_experimental_InRelease":                   release("Debian", "experimental", "NotAutomatic: yes\n"),
		lists + "deb.example_debian_dists_experimental_main_binary-amd64_Packages":  offer("trial", "99", "amd64"),
		"etc/apt/sources.list": "deb [trusted=yes arch=amd64] http://deb.example/debian stable main\ndeb [trusted=yes] http://security.example/ stable-security main # x\n" +
			"deb [trusted=yes] http://deb.example/debian experimental main\n#deb http://off.example x\n",
	}
}

func TestUpdatesAreWhatAptSays(t *testing.T) {
	p := probeOn(t, updatable())
	root := string(p.root)
	saysAll(t, p, []saying{{"Available Updates", nil, []string{
		"old|1:1.0-1|1:1.0-2|Debian stable|False", "all|1.0~rc1|1.0|Debian stable|False", "patched|1.0-1|1.0-1+deb12u1|Debian-Security stable-security|True",
	}}})
	write(t, filepath.Join(root, "var/lib/apt/extended_states"), "")
	for _, folder := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt", "etc/apt/trusted.gpg.d"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	compareAll(t, p, []comparison{
		{"Available Updates", nil, []int{0, 1, 2}, shell("apt list --upgradable -o APT::Architecture=amd64 -o Dir=" + root + " -o Dir::State::status=" + root + "/var/lib/dpkg/status 2>/dev/null | " +
			`sed -n 's/^\([^/]*\)\/[^ ]* \([^ ]*\) .*upgradable from: \(.*\)\]$/\1|\3|\2/p'`)},
	})
	if lists, err := filepath.Glob("/var/lib/apt/lists/*_Packages*"); err != nil || lists == nil {
		return
	}
	compareAll(t, newProbe(), []comparison{
		{"Available Updates", nil, []int{0, 1, 2}, shell(`apt list --upgradable 2>/dev/null | sed -n 's/^\([^/]*\)\/[^ ]* \([^ ]*\) .*upgradable from: \(.*\)\]$/\1|\3|\2/p'`)},
	})
}

// TestVersionsCompareAsDpkgCompares draws versions of few letters, so that
// many are nearly the same, and asks dpkg.
func TestVersionsCompareAsDpkgCompares(t *testing.T) {
	const pairs = 60 // each starts a program
	drawn := rapid.StringMatching(`([0-2]:)?[0-9][0-9a-b.+~]{0,5}(-[0-9a~+.]{1,3})?`)
	for i := range pairs {
		a, b := drawn.Example(2*i), drawn.Example(2*i+1)
		if i%5 == 0 {
			b = a + "~"
		}
		order := compareDeb(a, b)
		for word, holds := range map[string]bool{"lt": order < 0, "gt": order > 0} {
			if said := exec.Command("dpkg", "--compare-versions", a, word, b).Run() == nil; said != holds {
				t.Errorf("%s %s %s: dpkg says %t, we say %d", a, word, b, said, order)
			}
		}
		if back := compareDeb(b, a); back != -order {
			t.Errorf("%s against %s is %d, the other way %d", a, b, order, back)
		}
	}
}

func TestSoftwareOfAMachine(t *testing.T) {
	dist := "usr/lib/python3/dist-packages/"
	p := probeOn(t, files{
		dist + "requests-2.28.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: requests\nVersion: 2.28.1\n\nName: not me\n", dist + "six-1.16.0.egg-info": "Name: six\nVersion: 1.16.0\n",
		dist + "old.egg-info/PKG-INFO": "Name: old\nVersion: 1\n", dist + "broken.dist-info/RECORD": "", "usr/local/lib/python3.11/site-packages/x-1.dist-info/METADATA": "Name: x\nVersion: 1\n",
		"usr/lib/node_modules/npm/package.json": `{"name":"npm","version":"9.2.0"}`, "usr/lib/node_modules/@scope/tool/package.json": `{"name":"@scope/tool","version":"1.0.0"}`, "usr/lib/node_modules/bad/package.json": "{",
		"var/lib/gems/3.1.0/specifications/rails-7.0.4.gemspec": "", "var/lib/gems/3.1.0/specifications/net-http-0.3.0-java.gemspec": "", "var/lib/gems/3.1.0/specifications/odd.gemspec": "",
		"usr/lib/jvm/java-17-openjdk-amd64/release": "IMPLEMENTOR=\"Debian\"\nJAVA_VERSION=\"17.0.9\"\n", "usr/lib/jvm/default/nothing": "",
		"usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/x": "", "snap/core22/1033/meta/snap.yaml": "name: core22\nversion: '20231123'\n", "snap/core22/current": "-> 1033",
		"var/lib/flatpak/app/org.gimp.GIMP/x86_64/stable/active": "-> abc", "var/lib/flatpak/app/org.gimp.GIMP/current": "-> x86_64/stable",
		"etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\n",
		"home/alice/.config/google-chrome/Default/Extensions/abcd/1.2_0/manifest.json":             `{"name":"__MSG_appName__","version":"1.2","default_locale":"en"}`,
		"home/alice/.config/google-chrome/Default/Extensions/abcd/1.2_0/_locales/en/messages.json": `{"APPNAME":{"message":"Blocker"}}`,
		"home/alice/.config/chromium/Profile 1/Extensions/efgh/3/manifest.json":                    `{"name":"Plain","version":"3","default_locale":"../x"}`,
		"home/alice/.config/chromium/Profile 1/Extensions/efgh/4/manifest.json":                    `broken`,
		"home/alice/.mozilla/firefox/x.default/extensions.json":                                    `{"addons":[{"id":"u@b","version":"1.5","type":"extension","defaultLocale":{"name":"uBlock"}},{"id":"t","version":"1","type":"theme","defaultLocale":{"name":"Dark"}}]}`,
		"etc/yum.repos.d/fedora.repo":                                                              "[fedora]\nname=Fedora\nmetalink=https://mirrors.example/metalink\nenabled=1\n[off]\nbaseurl=https://me:pw@x.example/\nenabled=0\n",
		"etc/apt/sources.list.d/debian.sources":                                                    "Types: deb deb-src\nURIs: http://deb.example/debian\nSuites: stable stable-updates\nComponents: main\n contrib\nSigned-By: x\n\nEnabled: no\nTypes: deb\nURIs: http://off.example\nSuites: a/\n",
		"etc/apt/apt.conf.d/20auto-upgrades":                                                       "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"0\";\n",
		"etc/apt/apt.conf.d/50unattended":                                                          "/* long\n comment */ Unattended-Upgrade::Origins-Pattern {\n \"origin=Debian\"; // x\n \"origin=Corp\"; };\nUnattended-Upgrade::Automatic-Reboot \"true\";\nAPT::Periodic { Unattended-Upgrade \"1\"; };\n",
		"etc/dnf/automatic.conf":                                                                   "[commands]\napply_updates = yes\n",
		"var/log/dpkg.log":                                                                         "2026-11-20 10:00:00 startup packages configure\n2026-11-20 10:00:01 install libx:amd64 <none> 1.0\n2026-11-21 10:00:02 upgrade libx:amd64 1.0 2.0\n2026-11-22 08:00:03 remove libx:amd64 2.0 <none>\n2026-11-22 08:00:04 status installed libx:amd64 2.0\n",
		"var/lib/dpkg/status":                                                                      "Package: held\nStatus: hold ok installed\nVersion: 1\n\nPackage: half\nStatus: install reinstreq half-installed\nVersion: 1\n\nPackage: tool\nStatus: install ok installed\nVersion: 1\nConffiles:\n /etc/tool.conf " + strings.Repeat("0", 32) + "\n",
		"var/lib/dpkg/info/tool.md5sums":                                                           "900150983cd24fb0d6963f7d28e17f72  usr/bin/tool\n900150983cd24fb0d6963f7d28e17f72  usr/bin/gone\n900150983cd24fb0d6963f7d28e17f72  etc/tool.conf\n",
		"var/lib/dpkg/info/tool-doc.md5sums":                                                       "900150983cd24fb0d6963f7d28e17f72  usr/share/none\n",
		"usr/bin/tool":                                                                             "abc", "etc/tool.conf": "changed",
		"var/lib/dpkg/alternatives/editor": "auto\n/usr/bin/editor\n", "etc/alternatives/editor": "-> /usr/bin/vim",
	})
	saysAll(t, p, []saying{
		{"Python Packages", nil, []string{"requests|2.28.1|/usr/lib/python3/dist-packages", "six|1.16.0|/usr/lib/python3/dist-packages", "old|1|/usr/lib/python3/dist-packages", "x|1|/usr/local/lib/python3.11/site-packages"}},
		{"Node Packages", nil, []string{"npm|9.2.0|/usr/lib/node_modules", "@scope/tool|1.0.0|/usr/lib/node_modules/@scope"}},
		{"Ruby Gems", nil, []string{"rails|7.0.4|/var/lib/gems/3.1.0/specifications", "net-http|0.3.0-java|/var/lib/gems/3.1.0/specifications"}},
		{"Java Runtimes", nil, []string{"/usr/lib/jvm/java-17-openjdk-amd64|17.0.9|Debian"}}, {"Dotnet Runtimes", nil, []string{"Microsoft.NETCore.App|8.0.1"}},
		{"Snap Packages", nil, []string{"core22|1033|20231123"}}, {"Flatpak Applications", nil, []string{"org.gimp.GIMP|stable|x86_64"}},
		{"Browser Extensions", nil, []string{"alice|Chrome|Blocker|1.2|abcd", "alice|Chromium|Plain|3|efgh", "alice|Firefox|uBlock|1.5|u@b"}},
		{"Package Repositories", nil, []string{
			"rpm|https://mirrors.example/metalink|fedora||True|/etc/yum.repos.d/fedora.repo", "rpm|https://x.example/|off||False|/etc/yum.repos.d/fedora.repo",
			"deb|http://deb.example/debian|stable|main contrib|True|/etc/apt/sources.list.d/debian.sources", "deb|http://deb.example/debian|stable-updates|main contrib|True|/etc/apt/sources.list.d/debian.sources",
			"deb-src|http://deb.example/debian|stable|main contrib|True|/etc/apt/sources.list.d/debian.sources", "deb-src|http://deb.example/debian|stable-updates|main contrib|True|/etc/apt/sources.list.d/debian.sources",
			"deb|http://off.example|a/||False|/etc/apt/sources.list.d/debian.sources",
		}},
		{"Automatic Updates", nil, []string{
			"APT::Periodic::Update-Package-Lists|1", "APT::Periodic::Unattended-Upgrade|1", "Unattended-Upgrade::Origins-Pattern|origin=Debian, origin=Corp",
			"Unattended-Upgrade::Automatic-Reboot|true", "dnf-automatic commands.apply_updates|yes",
		}},
		{"Held Packages", nil, []string{"held"}}, {"Broken Packages", nil, []string{"half|half-installed reinstreq"}},
		{"Package Verification", []string{"tool"}, []string{"/usr/bin/gone|Missing|False", "/etc/tool.conf|Changed|True"}},
		{"Alternatives", nil, []string{"editor|auto|/usr/bin/vim"}},
	})
	for _, name := range []string{"none", "half"} {
		if rows, err := p.Run(t.Context(), "Package Verification", []string{name}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("verifying %s: %q, %v", name, rows, err)
		}
	}
	history := utcDates(says(t, p, "Package History"))
	if len(history) != 3 || !strings.HasSuffix(history[1], "|upgrade|libx|2.0") || !strings.HasSuffix(history[2], "|remove|libx|2.0") {
		t.Errorf("the history is %q", history)
	}
	if last := utcDates(says(t, p, "Last Software Change")); last[0] != strings.SplitN(history[2], "|", 2)[0] {
		t.Errorf("the last change was %q", last)
	}
	if got := says(t, probeOn(t, files{"var/lib/apt/lists/": ""}), "Package Lists Updated"); len(got) != 1 {
		t.Errorf("the lists are of %q", got)
	}
	for _, sensor := range []string{"Package Lists Updated", "Last Software Change", "Available Updates", "Held Packages", "Package History"} {
		if rows, err := probeOn(t, nil).Run(t.Context(), sensor, nil); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s of a machine without packages: %q, %v", sensor, rows, err)
		}
	}
}

func TestSettingsAreWhatAptConfigSays(t *testing.T) {
	p := probeOn(t, files{"etc/apt/apt.conf.d/20x": "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic { Unattended-Upgrade \"7\"; Deep { Er \"x y\"; } };\n#clear y;\n// z\n"})
	compareAll(t, p, []comparison{
		{"Automatic Updates", nil, nil, shell("apt-config -c " + p.root.at("etc/apt/apt.conf.d/20x") + ` dump APT::Periodic 2>/dev/null | sed -n 's/^\(APT::[^ ]*\) "\(..*\)";$/\1|\2/p'`)},
	})
}

func TestUnpackagedProcesses(t *testing.T) {
	_, path := program(t, "not-from-a-package")
	got := says(t, newProbe(), "Unpackaged Processes")
	if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "not-from-a-package|"+path+"|") }) {
		t.Errorf("%s is not among %q", path, got)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if cmd.Wait() == nil {
			t.Error("a program that was killed ended well")
		}
	}()
	if got := says(t, newProbe(), "Unpackaged Processes"); slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "sleep|/usr/bin/sleep|") }) {
		t.Errorf("sleep comes from a package: %q", got)
	}
}

func FuzzPackageLists(f *testing.F) {
	f.Add("Package: a\nVersion: 1\n\nTypes: deb\n b\n", "1:1.0-1", "1.0~rc1")
	f.Add("deb [x=y] http://a b c\nAcquire { http { Proxy \"x\"; }; };\n2026-11-22 08:00:03 remove x 1 <none>\n", "", "0")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		if compareDeb(a, a) != 0 || compareDeb(a, b) != -compareDeb(b, a) {
			t.Fatalf("%q and %q do not compare", a, b)
		}
		lines := strings.Count(text, "\n") + 1
		if rows := aptLines(text, "f"); len(rows) > lines {
			t.Fatalf("%q has %q", text, rows)
		}
		if rows := history(text); len(rows) > lines {
			t.Fatalf("%q has %q", text, rows)
		}
		for _, p := range paragraphs(text) {
			if len(p) == 0 {
				t.Fatalf("%q has an empty paragraph", text)
			}
		}
		for _, s := range aptSettings(text) {
			if strings.Contains(s[0], "{") && !strings.Contains(text, "\"") {
				t.Fatalf("%q has %q", text, s)
			}
		}
		if err := readOffers(t.Context(), strings.NewReader(text), func(name, version, _ string) {
			if name == "" || version == "" {
				t.Fatalf("%q offers %q %q", text, name, version)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if name, version, ok := gemName(text); ok && (name == "" || version == "") {
			t.Fatalf("%q is the gem %q %q", text, name, version)
		}
		pythonMetadata(text)
	})
}
