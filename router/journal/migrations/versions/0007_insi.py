"""calls to INSi, and what it last said of each patient's INS

Revision: 0007
Follows: 0006
"""

import sqlalchemy as sa
from alembic import op


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('insi_call',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('message_id', sa.String(length=36), nullable=False),
    sa.Column('purpose', sa.String(length=16), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('patient_id', number, nullable=True),
    sa.Column('attempt', sa.SmallInteger(), nullable=False),
    sa.Column('milliseconds', sa.Integer(), nullable=False),
    sa.Column('status', sa.SmallInteger(), nullable=True),
    sa.Column('code', sa.String(length=40), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_insi_call'))
    )
    op.create_index('ix_insi_call_at', 'insi_call', ['at'])
    op.create_table('insi_verification',
    sa.Column('patient_id', number, autoincrement=False, nullable=False),
    sa.Column('ins_token', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('verdict', sa.String(length=8), nullable=False),
    sa.Column('code', sa.String(length=40), nullable=False),
    sa.Column('sealed_reply', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_insi_verification_patient_id_patient'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('patient_id', name=op.f('pk_insi_verification'))
    )
    kept = sa.text("kind = 'ins'")
    op.create_index('ix_patient_token_ins', 'patient_token', ['patient_id', 'token'], sqlite_where=kept, postgresql_where=kept)


def downgrade() -> None:
    op.drop_index('ix_patient_token_ins', table_name='patient_token')
    op.drop_table('insi_verification')
    op.drop_index('ix_insi_call_at', table_name='insi_call')
    op.drop_table('insi_call')
