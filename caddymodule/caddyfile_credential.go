// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// readName reads the name of a credential or partner and refuses one that is taken.
func readName(d *caddyfile.Dispenser, what string, taken func(string) bool) (string, error) {
	if !d.NextArg() {
		return "", d.Errf("%s needs a name, for example: %s employee { … }", what, what)
	}
	name := d.Val()
	switch {
	case !validName(name):
		return "", d.Errf("%s %q: the name may have only letters, digits, - and _, at most 32", what, name)
	case taken(name):
		return "", d.Errf("%s %q is defined twice; rename one", what, name)
	case d.NextArg():
		return "", d.Errf("%s takes one name; remove %q", what, d.Val())
	}
	return name, nil
}

// readCredential reads
//
//	credential <name> {
//		type               <type>
//		issuer             <did>...
//		face_check         [<photo claim>] [<threshold>] | off
//		linked_domain      <host>...
//		constraint         <claim> is|contains|starts_with <value>...
//		keep               <claim>...
//		max_credential_age <duration>
//		purpose            <text>
//		display_name       <text>
//		idv                <partner>...
//		no_status
//		insecure_allow_revoked
//		insecure_skip_linked_domain
//	}
func (a *App) readCredential(d *caddyfile.Dispenser) error {
	name, err := readName(d, "credential", func(name string) bool { return a.Credentials[name] != nil })
	if err != nil {
		return err
	}
	c := &Credential{}
	if a.Credentials == nil {
		a.Credentials = map[string]*Credential{}
	}
	a.Credentials[name] = c
	checkHost := func(host string) error {
		if !validHost(host) {
			return optionError("linked_domain", host, "must be a host name such as www.contoso.com, without scheme or path")
		}
		return nil
	}
	if err := readBlock(d, "credential "+name, map[string]option{
		"type":                        oneArg(&c.Type),
		"issuer":                      args(&c.Issuers, checkDID),
		"face_check":                  {read: c.readFaceCheck},
		"linked_domain":               args(&c.LinkedDomains, checkHost),
		"constraint":                  {repeats: true, read: c.readConstraint},
		"keep":                        args(&c.Keep),
		"max_credential_age":          duration(&c.MaxCredentialAge),
		"purpose":                     oneArg(&c.Purpose, func(s string) error { return checkText("purpose", s, 1, 200) }),
		"display_name":                oneArg(&c.DisplayName, func(s string) error { return checkText("display_name", s, 1, 100) }),
		"idv":                         args(&c.IDV),
		"no_status":                   flag(&c.NoStatus),
		"insecure_allow_revoked":      flag(&c.InsecureAllowRevoked),
		"insecure_skip_linked_domain": flag(&c.InsecureSkipLinkedDomain),
	}); err != nil {
		return err
	}
	switch {
	case c.Type == "":
		return d.Errf("credential %s: type is missing; it is the type name in the issuer's contract, for example VerifiedEmployee", name)
	case len(c.Issuers) == 0:
		return d.Errf("credential %s: issuer is missing; without it the service accepts any issuer in the world. Add: issuer <did>", name)
	}
	return nil
}

func (c *Credential) readFaceCheck(d *caddyfile.Dispenser) error {
	c.FaceCheck = &FaceCheck{}
	for i, arg := range d.RemainingArgs() {
		threshold, err := strconv.Atoi(arg)
		switch {
		case i == 0 && arg == "off":
			c.FaceCheck.Off = true
		case i > 0 && c.FaceCheck.Off:
			return d.Errf("face_check off takes nothing behind it; remove %q", arg)
		case err == nil && c.FaceCheck.Threshold == 0:
			if err := checkThreshold(threshold); err != nil {
				return d.WrapErr(err)
			}
			c.FaceCheck.Threshold = threshold
		case err != nil && i == 0:
			c.FaceCheck.PhotoClaim = arg
		default:
			return d.Errf("face_check: %q is not understood; write: face_check [<photo claim>] [<threshold 50 to 100>], or face_check off", arg)
		}
	}
	return nil
}

func (c *Credential) readConstraint(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) < 3 {
		return d.Err("constraint: write constraint <claim> is|contains|starts_with <value>")
	}
	constraint := Constraint{Claim: words[0]}
	values := words[2:]
	switch words[1] {
	case "is":
		constraint.Is = values
	case "contains", "starts_with":
		if len(values) != 1 {
			return d.Errf("constraint %s %s takes one value", words[0], words[1])
		}
		if words[1] == "contains" {
			constraint.Contains = values[0]
		} else {
			constraint.StartsWith = values[0]
		}
	default:
		return d.Errf("constraint %s: %q must be one of is, contains, starts_with", words[0], words[1])
	}
	c.Constraints = append(c.Constraints, constraint)
	return nil
}

// readIDV reads
//
//	idv <name> {
//		url             <https url, with {token} or without>
//		org_id          <id>
//		token_parameter <name>
//		audience        <text>
//		lifetime        <duration>
//		claims          minimal|hardened
//		display_name    <text>
//		logo            <file>
//		note            <text>
//	}
func (a *App) readIDV(d *caddyfile.Dispenser) error {
	name, err := readName(d, "idv", func(name string) bool { return a.IDV[name] != nil })
	if err != nil {
		return err
	}
	partner := &IDV{}
	if a.IDV == nil {
		a.IDV = map[string]*IDV{}
	}
	a.IDV[name] = partner
	lifetime := option{read: func(d *caddyfile.Dispenser) error {
		if err := duration(&partner.Lifetime).read(d); err != nil {
			return err
		}
		if err := atMost("lifetime", maxKickstartLifetime, partner.Lifetime); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}}
	if err := readBlock(d, "idv "+name, map[string]option{
		"url":             oneArg(&partner.URL),
		"org_id":          oneArg(&partner.OrgID),
		"token_parameter": oneArg(&partner.TokenParameter),
		"audience":        oneArg(&partner.Audience),
		"lifetime":        lifetime,
		"claims":          oneArg(&partner.Claims, oneOf("claims", "minimal", "hardened")),
		"display_name":    oneArg(&partner.DisplayName, func(s string) error { return checkText("display_name", s, 1, 100) }),
		"logo":            oneArg(&partner.Logo),
		"note":            oneArg(&partner.Note, func(s string) error { return checkText("note", s, 1, 200) }),
	}); err != nil {
		return err
	}
	switch {
	case partner.URL == "":
		return d.Errf("idv %s: url is missing; the partner gives it to you at onboarding", name)
	case partner.OrgID == "":
		return d.Errf("idv %s: org_id is missing; it is agreed with the partner at onboarding", name)
	}
	return nil
}
