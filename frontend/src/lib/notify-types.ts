/** What the API answers about incidents, messages and what holds them back. Times are Unix seconds; null or 0: none. */

export type IncidentState = 'open' | 'closed';

export interface Ack {
  /** By which it is lifted. */
  Id: number;
  Author: string;
  Reason: string;
  /** How bad it was then: what is worse gets through. */
  Status: number;
  CreatedAt: number;
  Until: number | null;
}

/** What a channel was told of an incident. */
export interface Told {
  Channel: string;
  Status: number;
  First: number;
  Last: number;
  Reminders: number;
}

export interface Incident {
  Id: string;
  Title: string;
  State: IncidentState;
  Status: number;
  Worst: number;
  Opened: number;
  Closed: number | null;
  Host: string;
  /** Empty: the host itself. */
  Probe: string;
  Group: string;
  Members: number;
  /** Of them, those that are not over. */
  Bad: number;
  Ack: Ack | null;
  Silenced: boolean;
  Told: Told[];
}

export interface Incidents {
  /** How many are open in all. */
  Open: number;
  Incidents: Incident[];
  More: boolean;
}

/** What is in an incident: a host or one of its probes. */
export interface Member {
  Host: string;
  Probe: string;
  Group: string;
  Status: number;
  Worst: number;
  Since: number;
  Recovered: number | null;
  Output: string;
  /** Where it says what to do: an address, or words. */
  Runbook: string | null;
}

export interface Moment {
  At: number;
  Event: string;
  Host: string;
  Probe: string;
  Status: number | null;
  Text: string;
  By: string | null;
}

export interface IncidentDetail extends Incident {
  Subjects: Member[];
  /** Members that are not listed. */
  Unlisted: number;
  Timeline: Moment[];
  Notifications: Notification[];
  Decisions: Decision[];
}

export type NotificationState = 'waiting' | 'sent' | 'dead' | 'expired';

export interface Notification {
  Id: number;
  /** The same at each attempt. */
  Key: string;
  Channel: string;
  Kind: string;
  Incident: string | null;
  Host: string;
  Probe: string;
  Title: string;
  Status: number;
  At: number;
  State: NotificationState;
  Attempts: number;
  Next: number | null;
  Delivered: number | null;
  /** What the receiver said, or why it failed. */
  Answer: string;
}

export interface Try {
  At: number;
  Ok: boolean;
  Text: string;
  Milliseconds: number;
}

export interface NotificationDetail extends Notification {
  /** Title and body as sent. */
  Text: string;
  Tries: Try[];
}

export interface Notifications {
  Notifications: Notification[];
  More: boolean;
}

export type Outcome = 'sent' | 'waiting' | 'grouped' | 'held';

/** One question that was asked. */
export interface Step {
  Reason: string;
  Passed: boolean;
  Detail: string;
}

export interface Decision {
  Id: number;
  At: number;
  Host: string;
  Probe: string;
  Entry: number | null;
  Incident: string | null;
  Channel: string | null;
  Status: number;
  Outcome: Outcome;
  /** The word of the last question. */
  Reason: string | null;
  Chain: Step[];
  Notification: (Notification & { Tries?: Try[] }) | null;
}

/** How the policy sees a subject; null: nothing is to be told. */
export interface Standing {
  Status: number;
  Confirmed: number;
  Since: number;
  Flapping: boolean;
  /** By whom, or by which window. */
  Silenced: string | null;
  Acked: string | null;
  Behind: string | null;
}

export interface Why {
  Host: string;
  Probe: string;
  At: number;
  Standing: Standing | null;
  Decisions: Decision[];
}

export type Scope = 'host' | 'group' | 'labels' | 'all';

export interface Suppression {
  Id: number;
  Kind: 'ack' | 'silence';
  Scope: Scope;
  /** The host, the group, or `env=prod,role=db`. */
  Target: string;
  /** Empty: all of them. */
  Probe: string;
  Reason: string;
  Author: string;
  Status: number;
  CreatedAt: number;
  Until: number | null;
  /** Messages it held back. */
  Held: number;
}

export interface Suppressions {
  WriteActionsAllowed: boolean;
  Suppressions: Suppression[];
  /** As `host/probe`. */
  Flapping: string[];
  BehindSomethingDown: { Host: string; Behind: string }[];
  /** Those that are open. */
  Windows: Window[];
  /** The monitor's own network is gone. */
  Blind: boolean;
  Quiet: { Active: boolean; Until: number | null };
}

export interface Occurrence {
  From: number;
  To: number;
}

export interface Window {
  Id: number;
  Name: string;
  Scope: Scope;
  Target: string;
  Probe: string;
  Reason: string;
  Author: string;
  CreatedAt: number;
  Every: 'once' | 'week' | 'month';
  From: number | null;
  To: number | null;
  /** 1 Monday … 7 Sunday, or days of the month, of which −1 is the last. */
  Days: number[];
  /** `02:00`; empty where it happens once. */
  At: string;
  Seconds: number;
  Zone: string;
  Ends: number | null;
  Held: number;
  Open: boolean;
  Next: Occurrence[];
}

export interface Maintenance {
  WriteActionsAllowed: boolean;
  Windows: Window[];
}

export interface Channel {
  Name: string;
  Type: string;
  Health: 'ok' | 'failing' | 'unused';
  Waiting: number;
  Dead: number;
  Delivered: number | null;
  Failed: number | null;
  Error: string;
  Escalation: boolean;
  RemindersOnly: boolean;
  /** The channel that is used instead of it; empty: none. */
  Fallback: string | null;
  /** Whom it is for, in words. */
  For: string;
}

/** The live event about one incident. */
export interface IncidentChange {
  Id: string;
  Title: string;
  State: IncidentState;
  Status: number;
  Bad: number;
  Members: number;
  Acked: boolean;
}
