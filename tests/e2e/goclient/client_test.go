// Package goclient drives /api/v2 with the published Go client: each resource is created, read, changed and deleted.
package goclient

import (
	"context"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	tailscale "tailscale.com/client/tailscale/v2"
)

const policy = `{
	// kept as it was sent
	"tagOwners": {"tag:operator": [], "tag:k8s": ["tag:operator"]},
	"acls":      [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
}
`

func connect(t *testing.T) *tailscale.Client {
	t.Helper()
	base, err := url.Parse(os.Getenv("BASE_URL"))
	if err != nil || base.Host == "" {
		t.Fatal("BASE_URL is missing")
	}
	return &tailscale.Client{BaseURL: base, APIKey: os.Getenv("API_KEY")}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func status(err error) int {
	var refusal tailscale.APIError
	if errors.As(err, &refusal) {
		return refusal.Status
	}
	return 0
}

func TestPolicyFile(t *testing.T) {
	ctx, file := context.Background(), connect(t).PolicyFile()
	before := must[*tailscale.RawACL](t)(file.Raw(ctx))
	ok(t, file.Validate(ctx, policy))
	if file.Validate(ctx, `{"acls": [{"action": "nope"}]}`) == nil {
		t.Fatal("a wrong policy is valid")
	}
	ok(t, file.Set(ctx, policy, before.ETag))
	if err := file.Set(ctx, policy, "ts-default"); status(err) != 412 {
		t.Fatal(err)
	}
	after := must[*tailscale.RawACL](t)(file.Raw(ctx))
	if after.HuJSON != policy || after.ETag == before.ETag {
		t.Fatal(after.HuJSON)
	}
	must[*tailscale.ACL](t)(file.Get(ctx))
}

func TestAuthKeys(t *testing.T) {
	ctx, keys := context.Background(), connect(t).Keys()
	var wanted tailscale.CreateKeyRequest
	wanted.Capabilities.Devices.Create.Tags = []string{"tag:operator"}
	wanted.Capabilities.Devices.Create.Reusable = true
	wanted.Capabilities.Devices.Create.Preauthorized = true
	wanted.ExpirySeconds, wanted.Description = 3600, "go client"
	made := must[*tailscale.Key](t)(keys.CreateAuthKey(ctx, wanted))
	shown := must[*tailscale.Key](t)(keys.Get(ctx, made.ID))
	if made.Key == "" || shown.Key != "" || shown.KeyType != "auth" || shown.Description != "go client" ||
		int64(*shown.ExpirySeconds) != 3600 || !shown.Capabilities.Devices.Create.Reusable {
		t.Fatal(shown)
	}
	must[[]tailscale.Key](t)(keys.List(ctx, true))
	ok(t, keys.Delete(ctx, made.ID))
	if _, err := keys.Get(ctx, made.ID); !tailscale.IsNotFound(err) {
		t.Fatal(err)
	}
}

func TestOAuthClients(t *testing.T) {
	ctx, client := context.Background(), connect(t)
	ok(t, client.PolicyFile().Set(ctx, policy, ""))
	keys := client.Keys()
	made := must[*tailscale.Key](t)(keys.CreateOAuthClient(ctx, tailscale.CreateOAuthClientRequest{
		Scopes: []string{"auth_keys", "devices:core"}, Tags: []string{"tag:operator"}, Description: "operator",
	}))
	if !strings.HasPrefix(made.Key, "tskey-client-") || made.KeyType != "client" {
		t.Fatal("no secret of a client")
	}
	operator := &tailscale.Client{BaseURL: client.BaseURL, Auth: &tailscale.OAuth{ClientID: made.ID, ClientSecret: made.Key}}
	devices := must[[]tailscale.Device](t)(operator.Devices().List(ctx))
	// As the Kubernetes operator starts: a tagged key for itself and one for each proxy, owned by its tag.
	for _, tag := range []string{"tag:operator", "tag:k8s"} {
		var wanted tailscale.CreateKeyRequest
		wanted.Capabilities.Devices.Create.Tags = []string{tag}
		wanted.Capabilities.Devices.Create.Preauthorized = true
		key := must[*tailscale.Key](t)(operator.Keys().CreateAuthKey(ctx, wanted))
		if key.ExpirySeconds == nil || int64(*key.ExpirySeconds) != 90*86400 {
			t.Fatal(key.ExpirySeconds)
		}
		ok(t, operator.Keys().Delete(ctx, key.ID))
	}
	must[*tailscale.Device](t)(operator.Devices().Get(ctx, devices[0].NodeID))
	if err := operator.Devices().Delete(ctx, "nNobodyCNTRL"); !tailscale.IsNotFound(err) {
		t.Fatal(err)
	}
	if _, err := operator.Users().List(ctx, nil, nil); status(err) != 403 {
		t.Fatal(err)
	}
	changed := must[*tailscale.Key](t)(keys.SetOAuthClient(ctx, made.ID, tailscale.SetOAuthClientRequest{
		Scopes: []string{"users:read"}, Description: "reader",
	}))
	if changed.Description != "reader" || !slices.Equal(changed.Scopes, []string{"users:read"}) || changed.Key != "" {
		t.Fatal(changed)
	}
	ok(t, keys.Delete(ctx, made.ID))
	if _, err := operator.Devices().List(ctx); status(err) != 401 {
		t.Fatal(err)
	}
}

func TestDevices(t *testing.T) {
	ctx, devices := context.Background(), connect(t).Devices()
	listed := must[[]tailscale.Device](t)(devices.List(ctx))
	id := listed[0].NodeID
	ok(t, devices.SetName(ctx, id, "renamed"))
	ok(t, devices.SetAuthorized(ctx, id, true))
	ok(t, devices.SetIPv4Address(ctx, id, "100.64.9.9"))
	ok(t, devices.SetSubnetRoutes(ctx, id, []string{"10.0.0.0/8"}))
	routes := must[*tailscale.DeviceRoutes](t)(devices.SubnetRoutes(ctx, id))
	if !slices.Equal(routes.Enabled, []string{"10.0.0.0/8"}) {
		t.Fatal(routes)
	}
	found := must[*tailscale.Device](t)(devices.Get(ctx, id))
	if found.Addresses[0] != "100.64.9.9" || !strings.HasPrefix(found.Name, "renamed.") {
		t.Fatal(found)
	}
	if _, err := devices.Get(ctx, "nNobodyCNTRL"); !tailscale.IsNotFound(err) {
		t.Fatal(err)
	}
}

func TestUsersDNSAndWhatIsNotServed(t *testing.T) {
	ctx, client := context.Background(), connect(t)
	users := must[[]tailscale.User](t)(client.Users().List(ctx, nil, nil))
	must[*tailscale.User](t)(client.Users().Get(ctx, users[0].ID))
	must[[]string](t)(client.DNS().Nameservers(ctx))
	must[[]string](t)(client.DNS().SearchPaths(ctx))
	must[*tailscale.DNSPreferences](t)(client.DNS().Preferences(ctx))
	if _, err := client.Webhooks().List(ctx); !tailscale.IsNotFound(err) {
		t.Fatal(err)
	}
}
