"""merges, links, former INS, tasks of the identity desk, and the INS under which a Delivery was prepared

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    merged = sa.text('merged_into IS NOT NULL')
    op.add_column('patient', sa.Column('merged_into', number, nullable=True))
    op.create_index('ix_patient_merged', 'patient', ['merged_into'], sqlite_where=merged, postgresql_where=merged)
    op.add_column('delivery', sa.Column('ins_token', sa.BigInteger(), nullable=True))
    op.create_table('patient_ins',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('patient_id', number, nullable=False),
    sa.Column('sealed_ins', sa.LargeBinary(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=False),
    sa.Column('why', sa.String(length=40), nullable=False),
    sa.Column('item_id', number, nullable=True),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_patient_ins_patient_id_patient'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_ins'))
    )
    op.create_index('ix_patient_ins_patient', 'patient_ins', ['patient_id'])
    op.create_table('patient_merge',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('survivor_id', number, nullable=False),
    sa.Column('absorbed_id', number, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('item_id', number, nullable=True),
    sa.Column('sealed_before', sa.LargeBinary(), nullable=False),
    sa.Column('undone_at', sa.BigInteger(), nullable=True),
    sa.Column('undone_by', sa.String(length=120), nullable=True),
    sa.Column('sealed_why', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['survivor_id'], ['patient.id'], name=op.f('fk_patient_merge_survivor_id_patient'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['absorbed_id'], ['patient.id'], name=op.f('fk_patient_merge_absorbed_id_patient'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_merge'))
    )
    op.create_index('ix_patient_merge_survivor', 'patient_merge', ['survivor_id'])
    op.create_index('ix_patient_merge_absorbed', 'patient_merge', ['absorbed_id'])
    op.create_table('patient_link',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('patient_id', number, nullable=False),
    sa.Column('other_id', number, nullable=False),
    sa.Column('linked_at', sa.BigInteger(), nullable=False),
    sa.Column('item_id', number, nullable=True),
    sa.Column('unlinked_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_patient_link_patient_id_patient'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['other_id'], ['patient.id'], name=op.f('fk_patient_link_other_id_patient'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_link'))
    )
    op.create_index('ix_patient_link_patient', 'patient_link', ['patient_id'])
    op.create_index('ix_patient_link_other', 'patient_link', ['other_id'])
    op.create_table('identity_task',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('patient_id', number, nullable=False),
    sa.Column('kind', sa.String(length=32), nullable=False),
    sa.Column('subject', sa.BigInteger(), nullable=True),
    sa.Column('item_id', number, nullable=True),
    sa.Column('delivery_id', number, nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.Column('closed_by', sa.String(length=120), nullable=True),
    sa.Column('sealed_why', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_identity_task_patient_id_patient'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_task'))
    )
    op.create_index('ix_identity_task_patient', 'identity_task', ['patient_id', 'kind'])
    still_open = sa.text('closed_at IS NULL')
    op.create_index('ix_identity_task_open', 'identity_task', ['id'], sqlite_where=still_open, postgresql_where=still_open)


def downgrade() -> None:
    op.drop_table('identity_task')
    op.drop_table('patient_link')
    op.drop_table('patient_merge')
    op.drop_table('patient_ins')
    op.drop_column('delivery', 'ins_token')
    op.drop_index('ix_patient_merged', table_name='patient')
    op.drop_column('patient', 'merged_into')
