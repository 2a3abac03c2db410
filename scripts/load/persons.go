// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// persons are people with wallets, made when they are first asked for. After some thousand they come again: the gate lets a
// holder verify 20 times an hour.
type persons struct {
	emulator *emulator.Emulator

	mu   sync.Mutex
	made map[int]*person
}

const maxPersons = 5000

// person has a card that nobody else has.
type person struct {
	name, mail string
	wallet     *emulator.Wallet
}

func (p *persons) get(i int) (*person, error) {
	i %= maxPersons
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.made[i]; ok {
		return known, nil
	}
	// The quicker kind of holder: it is the gate that is measured.
	wallet, err := p.emulator.NewWallet(emulator.WalletConfig{DIDMethod: emulator.JWK})
	if err != nil {
		return nil, err
	}
	made := &person{name: fmt.Sprintf("Visitor %06d", i), mail: fmt.Sprintf("visitor.%06d@contoso.example", i), wallet: wallet}
	claims := map[string]string{
		"displayName": made.name, "givenName": "Visitor", "surname": fmt.Sprintf("Number%06d", i), "mail": made.mail,
		"revocationId": made.mail, "jobTitle": "Payroll Specialist", "photo": photo(),
	}
	if _, err := p.emulator.IssueTo(wallet, "VerifiedEmployee", claims); err != nil {
		return nil, err
	}
	if p.made == nil {
		p.made = map[int]*person{}
	}
	p.made[i] = made
	return made, nil
}

var photo = sync.OnceValue(func() string { return emulator.Portrait(1) })

// present opens the link in the wallet and shows the card.
func (p *person) present(ctx context.Context, link string) error {
	offer, err := p.wallet.Open(ctx, link)
	if err != nil {
		return err
	}
	outcome, err := offer.Share(ctx, emulator.ShareOptions{})
	if err != nil {
		return err
	}
	if !outcome.Accepted {
		return fmt.Errorf("the service says %d, the gate %d", outcome.Status, outcome.RelyingPartyStatus)
	}
	return nil
}
