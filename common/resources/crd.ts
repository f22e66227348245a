import { readFileSync } from 'node:fs';

import { parse } from 'yaml';

/** A rule in CEL on one node of a schema. */
export interface ValidationRule {
  rule: string;
  message?: string;
  /** Which field is at fault, below the rule's own node. */
  fieldPath?: string;
}

/** The part of Kubernetes' structural schemas that our CRDs use. */
export interface StructuralSchema {
  type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  description?: string;
  title?: string;
  format?: string;
  default?: unknown;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  items?: StructuralSchema;
  nullable?: boolean;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  pattern?: string;
  'x-kubernetes-validations'?: ValidationRule[];
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: 'atomic' | 'map' | 'set';
  'x-kubernetes-list-map-keys'?: string[];
}

interface PrinterColumn {
  name: string;
  type: string;
  jsonPath: string;
  description?: string;
  priority?: number;
}

/** The part of a CustomResourceDefinition that is read here. */
export interface CustomResourceDefinition {
  metadata: { name: string };
  spec: {
    group: string;
    names: {
      kind: string;
      listKind: string;
      plural: string;
      singular: string;
      shortNames: string[];
      categories: string[];
    };
    versions: [
      {
        name: string;
        subresources: {
          status: object;
          scale?: {
            specReplicasPath: string;
            statusReplicasPath: string;
            labelSelectorPath: string;
          };
        };
        additionalPrinterColumns: PrinterColumn[];
        schema: { openAPIV3Schema: StructuralSchema };
      },
    ];
  };
}

/** The plurals of our kinds, as they stand in API paths. */
export const plurals = ['mediaworkers', 'mediarooms'] as const;
export type Plural = (typeof plurals)[number];

/** Reads a kind's CRD from `crds/`, the one source of the resources' shape. */
export function loadCrd(plural: Plural): CustomResourceDefinition {
  const file = new URL(`../../crds/kube-sfu.dev_${plural}.yaml`, import.meta.url);
  return parse(readFileSync(file, 'utf8')) as CustomResourceDefinition;
}

/** The schema of one object of the CRD's only version. */
export const schemaOf = (crd: CustomResourceDefinition): StructuralSchema =>
  crd.spec.versions[0].schema.openAPIV3Schema;
