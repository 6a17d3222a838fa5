//go:build unix

package probe

import (
	"context"
	"net/netip"
	"os"
	"strings"
)

// stub is where systemd's resolver listens. What it asks in turn stands in
// its own file.
const stub = "127.0.0.53"

const hostsPath = "etc/hosts"

func nameServers(_ context.Context, at tree) ([]string, error) {
	return nameServersIn(at.at("etc/resolv.conf"), at.at("run/systemd/resolve/resolv.conf"))
}

func dnsSearch(_ context.Context, at tree) ([]string, error) {
	text, err := at.text("etc/resolv.conf")
	return searchDomains(text), err
}

func nameServersIn(conf, upstream string) ([]string, error) {
	b, err := os.ReadFile(conf)
	if err != nil {
		return nil, pathError(err)
	}
	servers := resolvers(string(b))
	if len(servers) != 1 || servers[0] != stub {
		return servers, nil
	}
	b, err = os.ReadFile(upstream)
	if absent(err) {
		return servers, nil
	}
	if err != nil {
		return nil, pathError(err)
	}
	return resolvers(string(b)), nil
}

// resolvers reads the name servers of a resolv.conf.
func resolvers(conf string) []string {
	var servers []string
	for line := range strings.Lines(conf) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(words[1]); err == nil {
			servers = append(servers, ip.WithZone("").String())
		}
	}
	return servers
}
