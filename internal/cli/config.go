package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	ktoml "github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// A Config is which server to ask, how to know it, and the right to ask it.
type Config struct {
	URL   string `toml:"url,omitempty"`   // https://host[:port]
	Token string `toml:"token,omitempty"` // an API token
	// TokenID is the token's number on the server, which logout needs. It is
	// kept in the file only.
	TokenID int64 `toml:"token_id,omitempty"`

	// How the server's certificate is judged. Neither: by the system's roots.
	CA          string `toml:"ca,omitempty"`          // path of a PEM file with the only roots to trust
	Fingerprint string `toml:"fingerprint,omitempty"` // SHA-256 of the one certificate to trust, in hex
}

// configKeys is what a configuration file may hold.
const configKeys = "url, token, token_id, ca, fingerprint"

// DemoConfigPath is where a running `catenary demo` leaves the configuration
// for the operator's commands.
func DemoConfigPath() (string, error) {
	dir, err := os.UserConfigDir()
	return demoConfigPath(dir), err
}

func demoConfigPath(dir string) string { return filepath.Join(dir, "catenary", "demo.toml") }

// SaveConfig writes c to the file at path, which only its owner can read. The
// file is replaced at once: it is never seen half written.
func SaveConfig(path string, c Config) (err error) {
	text, err := toml.Marshal(c)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*") // has mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// flags are what the command line says about the server.
type flags struct {
	path string // of the configuration file
	Config
}

func (f *flags) bind(cmd *cobra.Command) {
	p := cmd.PersistentFlags()
	p.StringVar(&f.path, "config", "", "configuration `file` (default: $CATENARY_CONFIG, or catenary/config.toml in the user's configuration folder)")
	p.StringVar(&f.URL, "url", "", "`address` of the server, as https://host:port")
	p.StringVar(&f.Token, "token", "", "API `token`; others on this computer can see a command line, so prefer $CATENARY_TOKEN")
	p.StringVar(&f.CA, "ca", "", "PEM `file` with the certificates that may vouch for the server")
	p.StringVar(&f.Fingerprint, "fingerprint", "", "SHA-256 `fingerprint` of the server's certificate")
}

// configPath is the operator's own configuration file.
func (d *desk) configPath(f *flags) (string, error) {
	if f.path != "" {
		return f.path, nil
	}
	if path := d.env("CATENARY_CONFIG"); path != "" {
		return path, nil
	}
	dir, err := d.configDir()
	if err != nil {
		return "", fault.New(fault.Invalid, "no place for a configuration file: %w; give one with --config", err)
	}
	return filepath.Join(dir, "catenary", "config.toml"), nil
}

// env returns a variable of the environment, "" if it is not set.
func (d *desk) env(name string) string {
	for _, pair := range d.environ() {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}

// config joins what the files, the environment and the command line say. demo
// tells that the address is a running demo's.
func (d *desk) config(f *flags) (c Config, demo bool, err error) {
	var own, vars Config
	path, noPath := d.configPath(f)
	if noPath == nil { // without a home, the environment and flags may still say all
		if own, err = readConfig(path); err != nil {
			return Config{}, false, err
		}
	}
	if vars, err = readEnvironment(d.environ); err != nil {
		return Config{}, false, err
	}
	line := f.Config
	if line.URL, err = serverURL(line.URL, "--url"); err != nil {
		return Config{}, false, err
	}
	if c = merge(own, vars, line); c.URL != "" {
		return c, false, nil
	}
	if noPath != nil {
		return Config{}, false, noPath
	}
	dir, err := d.configDir()
	if err != nil { // the file was named, so that only a demo's cannot be found
		return c, false, nil
	}
	running, err := readConfig(demoConfigPath(dir))
	return merge(running, own, vars, line), running.URL != "", err
}

// merge lays the layers over each other, the last on top. A layer that names a
// server speaks of that server only: its token is never sent to another.
func merge(layers ...Config) Config {
	var c Config
	for _, l := range layers {
		if l.URL != "" {
			c.URL = l.URL
		}
	}
	for _, l := range layers {
		if l.URL != "" && l.URL != c.URL {
			continue
		}
		if l.Token != "" {
			c.Token, c.TokenID = l.Token, l.TokenID
		}
		if l.CA != "" || l.Fingerprint != "" { // two answers to one question
			c.CA, c.Fingerprint = l.CA, l.Fingerprint
		}
	}
	return c
}

// readConfig reads a configuration file. One that does not exist says nothing.
func readConfig(path string) (Config, error) {
	k := koanf.New(".")
	err := k.Load(file.Provider(path), strictTOML{ktoml.Parser()})
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, fault.New(fault.Invalid, "%s: %w", path, err)
	}
	c, err := decode(k)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.CA != "" && !filepath.IsAbs(c.CA) {
		c.CA = filepath.Join(filepath.Dir(path), c.CA)
	}
	c.URL, err = serverURL(c.URL, path)
	return c, err
}

func readEnvironment(environ func() []string) (Config, error) {
	names := map[string]string{
		"CATENARY_URL":         "url",
		"CATENARY_TOKEN":       "token",
		"CATENARY_CA":          "ca",
		"CATENARY_FINGERPRINT": "fingerprint",
	}
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{
		Prefix:        "CATENARY_",
		EnvironFunc:   environ,
		TransformFunc: func(name, value string) (string, any) { return names[name], value },
	}), nil)
	if err != nil {
		return Config{}, fmt.Errorf("environment: %w", err)
	}
	c, err := decode(k)
	if err != nil {
		return Config{}, fmt.Errorf("environment: %w", err)
	}
	c.URL, err = serverURL(c.URL, "CATENARY_URL")
	return c, err
}

func decode(k *koanf.Koanf) (Config, error) {
	var c Config
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{Tag: "toml"})
	return c, err
}

// strictTOML refuses keys that a Config does not have, and says where an error
// stands.
type strictTOML struct{ *ktoml.TOML }

func (p strictTOML) Unmarshal(b []byte) (map[string]any, error) {
	err := toml.NewDecoder(strings.NewReader(string(b))).DisallowUnknownFields().Decode(new(Config))
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		line, _ := unknown.Errors[0].Position()
		key := strings.Join(unknown.Errors[0].Key(), ".")
		return nil, fmt.Errorf("line %d: unknown key %q (known: %s)", line, key, configKeys)
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	if err != nil {
		return nil, err
	}
	return p.TOML.Unmarshal(b)
}

// serverURL brings a server's address into one spelling, so that two can be
// compared. The scheme may be left out. from says where the text stands.
func serverURL(text, from string) (string, error) {
	if text == "" {
		return "", nil
	}
	full := text
	if !strings.Contains(full, "://") {
		full = "https://" + full
	}
	u, err := url.Parse(full)
	if err != nil || !isHost(u.Hostname()) || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fault.New(fault.Invalid, "%s: %q is not the address of a server; write https://host or https://host:port", from, text)
	}
	if u.Scheme != "https" {
		return "", fault.New(fault.Invalid, "%s: %q: only https:// is spoken", from, text)
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != "443" {
		host += ":" + port
	}
	return (&url.URL{Scheme: "https", Host: host}).String(), nil
}

// isHost tells a name or an address from what else may stand in its place.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '.' && r != '_'
	})
}
