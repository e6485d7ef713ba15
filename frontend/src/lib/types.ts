/** What the API answers, field by field. Times are Unix seconds; 0 means none. */
import type { IncidentChange } from './notify-types';

export type Presence = 'alive' | 'unknown' | 'stopped' | 'down';
export type Role = 'none' | 'readonly' | 'operator';
export type LevelName = 'ok' | 'info' | 'warn' | 'crit' | 'error' | 'down';

export interface Page<T> {
  Items: T[];
  Total: number;
  /** What to hand in as `after` for the next page; empty at the end. */
  Next: string;
}

export interface Counts {
  Total: number;
  Ok: number;
  Info: number;
  Warn: number;
  Crit: number;
  Error: number;
  Down: number;
  Unknown: number;
  Stopped: number;
  /** Probes known from before only. */
  Stale: number;
}

export interface HostRow {
  Uuid: string;
  /** What stands for the host in a path. */
  Key: string;
  Name: string;
  Group: string;
  Labels: Record<string, string>;
  Status: number;
  GlobalStatus: number;
  Presence: Presence;
  Since: number;
  Message: string;
  WorstProbe: string;
  Probes: Counts;
  LastUpdate: number;
  Version: string;
  Below: number;
  BelowStatus: number;
  Parent: string;
  Problem: string;
}

export interface ProbeRow {
  /** The key of its host. */
  Host: string;
  HostName: string;
  Group: string;
  Name: string;
  Status: number;
  Message: string;
  Since: number;
  Timestamp: number;
  /** Seconds between runs. */
  Interval: number;
  Stale: boolean;
}

export interface HostProbeRow extends ProbeRow {
  Version: string;
  ExitCode: number;
  HasDetail: boolean;
  HasMetrics: boolean;
}

export interface ProblemRow {
  Kind: 'host' | 'probe';
  Host: string;
  HostName: string;
  Group: string;
  Probe: string;
  Status: number;
  Message: string;
  Since: number;
  Presence: Presence;
  Stale: boolean;
}

export interface GroupRow {
  Name: string;
  Status: number;
  Hosts: Counts;
}

export interface LogEntry {
  Date: string;
  Timestamp: number;
  /** The original's numbers: 2 notice, 3 info, 5 warning, 6 critical, 4 error. */
  Level: number;
  Message: string;
  Host: string;
  Probe: string;
  Group: string;
  Id: number;
  Kind: string;
  Was: number | null;
  Now: number | null;
  Learned: number;
  Origin: string;
  OriginId: number;
}

export interface Summary {
  Now: number;
  Revision: number;
  Instance: { Uuid: string; Key: string; Name: string; Version: string };
  Status: number;
  Hosts: Counts;
  Probes: Counts;
  Problems: ProblemRow[];
  ProblemsTotal: number;
  Groups: GroupRow[];
  GroupsTotal: number;
  Recent: LogEntry[];
  Waiting: number;
  OrdersWaiting: number;
}

export interface Contact {
  Kind: 'push' | 'pull';
  Address: string;
  Encrypted: boolean;
}

export interface DisableRecord {
  Probe: string;
  Reason: string;
  Author: string;
  Interval: number;
  CreatedAt: number;
  /** 0: until somebody enables it by hand. */
  Until: number;
}

export interface DisabledRow extends DisableRecord {
  Host: string;
  HostName: string;
  Group: string;
}

export interface HostDetail extends HostRow {
  Path: { Key: string; Name: string }[];
  Contact: Contact | null;
  Alternatives: string[];
  ProbeRows: HostProbeRow[];
  Disabled: DisableRecord[];
  RemoteControl: 'none' | 'read' | 'control' | 'unknown';
}

/** One probe with all that it said: `GET /api/hosts/{host}/probes/{probe}`. */
export interface ProbeResult {
  Name: string;
  Version: string;
  Value: unknown;
  Message: string;
  ProbeDate: string;
  Timestamp: number;
  Metrics: unknown;
  Detail: unknown;
  Status: number;
  ExitCode: number;
  Interval: number;
  Since: number;
  Stale: boolean;
}

export interface ScheduledProbe {
  Name: string;
  Directory: string;
  Interval: number;
  Enabled: boolean;
  NextRun: number | null;
  LastRun: number | null;
  DurationMs: number | null;
  CpuMs: number | null;
  PeakMemoryBytes: number | null;
  Answer: string | null;
  SkippedRuns: number;
  Refused: string | null;
}

export interface Schedule {
  Hostname: string;
  WriteActionsAllowed: boolean;
  Probes: ScheduledProbe[];
  SkippedProbes: string[];
  DisableRecords: DisableRecord[];
  DisabledByConfiguration: string[];
  NotRun: { Path: string; Why: string }[];
}

export interface TimelineChange {
  Host: string;
  Probe: string;
  Group: string;
  Was: number | null;
  Now: number | null;
  Message: string;
  At: number;
  Kind: string;
}

export interface Timeline {
  Host: string;
  Probe: string;
  Since: number;
  Until: number;
  /** −1: never seen by then. */
  StatusAtStart: number;
  HistoryDays: number;
  Changes: TimelineChange[];
  ProbesAtStart: Record<string, number>;
  StoppedAtStart: boolean;
  Truncated: boolean;
}

export interface SearchResult {
  Hosts: HostRow[];
  Probes: ProbeRow[];
  Groups: { Name: string; Status: number }[];
}

export type OrderState = 'waiting' | 'done' | 'refused' | 'expired' | 'cancelled';

export interface Order {
  Id: string;
  Host: string;
  HostName: string;
  Probe: string;
  Action: 'disable' | 'interval' | 'run';
  Parameters: { Reason?: string; For?: number; Seconds?: number };
  Author: string;
  CreatedAt: number;
  ExpiresAt: number;
  State: OrderState;
  FinishedAt: number;
  Answer: string;
}

export interface Whoami {
  Name: string;
  Role: Role;
  WriteActionsAllowed: boolean;
  CanSignIn: boolean;
  How: 'anonymous' | 'password' | 'session' | 'token' | 'proxy';
  SignIn: ('password' | 'oidc')[];
  OidcName: string;
  NeedsHeader: boolean;
}

export interface Token {
  Id: number;
  Name: string;
  Role: Role;
  CreatedAt: number;
  CreatedBy: string;
  ExpiresAt: number;
  RevokedAt: number;
  LastUsed: number;
}

export interface User {
  Name: string;
  Role: Role;
  Source: 'configuration' | 'database';
  CreatedAt: number;
  Sessions: number;
}

export interface AuditEntry {
  Id: number;
  /** With fraction. */
  At: number;
  Who: string;
  Role: string;
  How: string;
  From: string;
  Action: string;
  Target: string;
  Detail: Record<string, unknown>;
  Before: unknown;
  After: unknown;
  Outcome: string;
}

export interface AllowedClient {
  Uuid: string;
  Hostname: string;
  Fingerprint: string | null;
}

export interface WaitingClient {
  Uuid: string;
  Hostname: string;
  Group: string;
  Version: string;
  Address: string;
  Fingerprint: string;
  Since: number;
  Connected: boolean;
  Note: string;
}

/** `GET /api/authority/hosts`: lower-case as in the original. */
export interface Authority {
  allowed: Record<string, string>;
  waiting: Record<string, string>;
  ca: string;
  details: { allowed: AllowedClient[]; waiting: WaitingClient[] };
}

export interface JoinToken {
  Id: string;
  UsesLeft: number;
  ExpiresAt: number;
  Group: string;
  Host: string;
  CreatedAt: number;
  LastUsed: number;
}

export interface About {
  Version: string;
  Uuid: string;
  Name: string;
  StartedAt: number;
  Now: number;
  Database: {
    Path: string;
    SizeBytes: number;
    JournalEntries: number;
    OldestEntry: number;
    KeepDays: number;
    Waiting: number;
    Dropped: number;
    Problem: string;
  };
  Queues: {
    Name: string;
    Length: number;
    Capacity: number;
    Dropped: number;
    /** What happens when it is full, in words. */
    Full: string;
  }[];
  Troubles: string[];
  Http: { Connections: number; Streams: number };
  Push: { Enabled: boolean; Connected: number; Waiting: number; Fingerprint: string };
  Masters: { Address: string; Connected: boolean; Trouble: string }[];
  Pull: { Endpoint: string; Problem: string }[];
  Memory: { ResidentBytes: number };
  Probes: { Running: number; Runs: number; TimedOut: number; Skipped: number };
}

/** The events of `GET /api/events`, by name. */
export interface LiveEvents {
  hello: { Now: number; Revision: number; Version: string; Caller: { Name: string; Role: Role } };
  counts: {
    Now: number;
    Status: number;
    Hosts: Counts;
    Probes: Counts;
    Waiting: number;
    OrdersWaiting: number;
  };
  summary: Summary;
  host: HostRow;
  host_gone: { Uuid: string; Key: string; Name: string };
  probe: ProbeRow;
  probe_gone: { Host: string; Name: string };
  log: LogEntry;
  changed: {
    What: 'authority' | 'orders' | 'access' | 'disabled' | 'audit' | 'incidents' | 'suppressions';
  };
  incident: IncidentChange;
  suppressions: Record<string, never>;
  time: { Now: number };
  reset: { Why: string };
  bye: { Why: string };
}

export type LiveEventName = keyof LiveEvents;
