// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counters with labels from closed sets only (TM-145).
type metrics struct {
	starts     *prometheus.CounterVec
	callbacks  *prometheus.CounterVec
	outcomes   *prometheus.CounterVec
	reports    *prometheus.CounterVec
	sessions   prometheus.Counter
	kickstarts *prometheus.CounterVec
	revoked    *prometheus.CounterVec
}

func (a *App) provisionMetrics() error {
	registry := a.ctx.GetMetricsRegistry()
	counter := func(name, help string, labels ...string) (*prometheus.CounterVec, error) {
		return registerOrExisting(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "verified_id", Name: name, Help: help,
		}, labels))
	}
	m := &metrics{}
	var errs [7]error
	m.starts, errs[0] = counter("starts_total", "Presentation requests that visitors asked for, by result.", "result")
	m.callbacks, errs[1] = counter("callbacks_total", "Callbacks of the Request Service, by what became of them.", "status")
	m.outcomes, errs[2] = counter("presentations_total", "Presentations by outcome: verified, or the reason of the refusal.", "outcome")
	m.kickstarts, errs[3] = counter("kickstarts_total", "Visitors sent to a partner, by result.", "result")
	m.sessions, errs[4] = registerOrExisting(registry, prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "verified_id", Name: "sessions_total", Help: "Sessions started.",
	}))
	m.reports, errs[5] = counter("report_only_total", "Requests that report_only let pass, by the reason for which they would have been refused.", "reason")
	m.revoked, errs[6] = counter("revocations_total", "Sessions ended before their time: one by one (session), or many at once.", "kind")
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	a.metrics = m
	return errors.Join(a.gaugeFaceChecks(registry), a.gaugeStore(registry))
}

// gaugeFaceChecks shows how near the day's budget is to its end.
func (a *App) gaugeFaceChecks(registry *prometheus.Registry) error {
	_, failed := registerOrExisting[prometheus.Collector](registry, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "verified_id", Name: "face_checks_today", Help: "Face Checks made today, by UTC.",
	}, func() float64 { return float64(a.faceChecks.today(a.now())) }))
	budget, err := registerOrExisting(registry, prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "verified_id", Name: "face_check_budget", Help: "Face Checks allowed a day; 0 means no limit.",
	}))
	if err := errors.Join(failed, err); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	budget.Set(float64(a.Limits.FaceChecksPerDay))
	return nil
}

// gaugeStore shows whether the store's backend answers.
func (a *App) gaugeStore(registry *prometheus.Registry) error {
	_, err := registerOrExisting[prometheus.Collector](registry, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "verified_id", Name: "store_up", Help: "1 if the store answers, else 0: sessions go on, nobody new gets in.",
	}, func() float64 {
		if backend, ok := a.store.Store.(interface{ Available() bool }); ok && !backend.Available() {
			return 0
		}
		return 1
	}))
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// registerOrExisting tolerates a second registration: several configs may share one registry during a reload.
func registerOrExisting[C prometheus.Collector](registry *prometheus.Registry, collector C) (C, error) {
	err := registry.Register(collector)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing, nil
		}
	}
	return collector, err
}
